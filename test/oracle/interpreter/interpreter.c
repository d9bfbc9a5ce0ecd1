// Runs programs of system calls by several actors, one call after another.
//
// The runner encodes a program (wire.go) and writes it to standard input; it reads the
// results from standard output. The coordinator forks the first actor of each program,
// and actors create the others. They pass the turn to each other with futex(2).
#include "shared.h"
#include "sites.h"
#include "attributes.h"
#include "tree.h"
#include "place.h"
#include <linux/errno.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <linux/signal.h>
#include <linux/wait.h>
#include <linux/time_types.h>
#include <linux/resource.h>

static char stacks[ACTORS][16384] __attribute__((aligned(16)));

static void wake(unsigned actor) {
	__atomic_store_n(&shared->slots[actor].turn, 1, __ATOMIC_SEQ_CST);
	raw(futex, &shared->slots[actor].turn, FUTEX_WAKE, 1, 0);
}

// hand_on passes the turn to the actor of the next operation or, at the end, to the
// coordinator.
static void hand_on(void) {
	for (; shared->next < program->ops; shared->next++) {
		struct op *op = &program->op[shared->next];
		if (op->actor < ACTORS && shared->slots[op->actor].alive) {
			shared->running = op->actor;
			wake(op->actor);
			return;
		}
		op->result = DEAD;
	}
	shared->running = 0;
	wake(0);
}

static void act(word me);

static word fork_actor(word k) {
	if (k < 2 || k >= ACTORS || shared->slots[k].alive)
		return -22;
	struct slot *s = &shared->slots[k];
	s->turn = 0;
	// The coordinator is the parent of all actors, and sees them end.
	word pid = raw(clone, SIGCHLD | CLONE_PARENT, 0, 0, 0, 0);
	if (pid == 0) {
		act(k);
	}
	if (pid < 0)
		return pid;
	s->process = s->task = pid;
	s->alive = 1;
	return 0;
}

static word start_thread(word me, word k) {
	if (k < 2 || k >= ACTORS || shared->slots[k].alive)
		return -22;
	struct slot *s = &shared->slots[k];
	s->turn = 0;
	word flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
	word tid = raw_thread(flags, stacks[k] + sizeof(stacks[k]), act, k);
	if (tid < 0)
		return tid;
	s->process = shared->slots[me].process;
	s->task = tid;
	s->alive = 1;
	return 0;
}

static int equal_bytes(const char *a, const char *b, word n) {
	for (word i = 0; i < n; i++)
		if (a[i] != b[i])
			return 0;
	return 1;
}

// proc_path makes "/proc/PID/NAME".
static char *proc_path(char *buffer, word pid, const char *name) {
	char digits[12], *d = digits + sizeof(digits), *p = buffer;
	*--d = 0;
	do
		*--d = '0' + pid % 10;
	while (pid /= 10);
	for (const char *s = "/proc/"; *s; s++)
		*p++ = *s;
	for (; *d; d++)
		*p++ = *d;
	*p++ = '/';
	memcpy(p, name, length(name) + 1);
	return buffer;
}

// write_map writes to uid_map, gid_map or setgroups of a process, and reads the file. What
// write(2) returns is not compared: see docs/identities.md.
static word write_map(const word a[6]) {
	char path[64];
	proc_path(path, a[0], (const char *)a[1]);
	word fd = raw(openat, AT_FDCWD, path, O_WRONLY, 0);
	if (fd < 0)
		return fd;
	raw(write, fd, a[2], a[3]);
	raw(close, fd);
	fd = raw(openat, AT_FDCWD, path, O_RDONLY, 0);
	if (fd < 0)
		return fd;
	char *text = (char *)a[4];
	word n = raw(read, fd, text, a[5]);
	raw(close, fd);
	// The map of the container has two lines, so that programs do not take it for that of the
	// initial user namespace.
	enum { LINE = 33, COUNT = 22 };
	if (n == 2 * LINE && equal_bytes(text, "         0 ", 11) && equal_bytes(text + COUNT, "         1\n         1 ", 22) &&
	    equal_bytes(text + LINE + COUNT, "4294967294\n", 11)) {
		memcpy(text + COUNT, "4294967295\n", 11);
		memset(text + LINE, 0, LINE);
		n = LINE;
	}
	return n;
}

// enter enters the user namespace of a process.
static word enter(word pid) {
	char path[64];
	word fd = raw(openat, AT_FDCWD, proc_path(path, pid, "ns/user"), O_RDONLY, 0);
	if (fd < 0)
		return fd;
	word result = raw(setns, fd, CLONE_NEWUSER);
	raw(close, fd);
	return result;
}

// hand_to_coordinator lets the coordinator set the mode of the file of this task's
// descriptor PINNED_FD.
static void hand_to_coordinator(unsigned mode) {
	struct slot *mine = &shared->slots[shared->running];
	shared->mend_mode = mode;
	shared->mend_task = mine->task;
	wake(0);
	while (!__atomic_exchange_n(&mine->turn, 0, __ATOMIC_SEQ_CST))
		raw(futex, &mine->turn, FUTEX_WAIT, 0, 0);
}

// mend is the coordinator's part of hand_to_coordinator.
static void mend(void) {
	char path[] = "/proc/0000000/fd/" PINNED;
	word n = shared->mend_task;
	for (int i = 12; i >= 6; i--, n /= 10)
		path[i] = '0' + n % 10;
	char *p = path + 6; // procfs accepts no leading zeros
	while (*p == '0')
		p++;
	memcpy(p - 6, "/proc/", 6);
	shared->mend_task = 0;
	must("mend", raw(fchmodat, AT_FDCWD, p - 6, shared->mend_mode));
	wake(shared->running);
}

// pin opens, as PINNED_FD, the file that a call with these arguments writes to.
static int pin(enum clears how, const word a[6], struct statx *st) {
	word fd = -1;
	switch (how) {
	case NOTHING:
		return 0;
	case FD:
		fd = raw(dup, a[0]);
		break;
	case AT:
		fd = raw(openat, a[0], a[1], O_PATH, 0);
		break;
	case PATH:
		fd = raw(openat, AT_FDCWD, a[0], O_PATH, 0);
		break;
	}
	if (fd < 0)
		return 0;
	raw(dup3, fd, PINNED_FD, 0);
	raw(close, fd);
	return raw(statx, PINNED_FD, "", AT_EMPTY_PATH, STATX_BASIC_STATS, st) == 0;
}

// unwritten reports whether the caller can tell that nobody has the pinned file open for
// writing: a read lease fails otherwise.
static int unwritten(void) {
	word fd = raw(openat, AT_FDCWD, "/proc/thread-self/fd/" PINNED, O_RDONLY | O_NONBLOCK, 0);
	if (fd < 0)
		return 0;
	word result = raw(fcntl, fd, F_SETLEASE, F_RDLCK);
	raw(close, fd);
	return result == 0;
}

// write_set_id makes a call that writes to the pinned file with the status st, which has
// set-id bits. Whether they stay depends on who has opened the file, and when
// (docs/ownership.md: "Set-id bits"). So both sides clear them afterwards, unless the call
// itself opens the file, and nobody else has it open.
static word write_set_id(word nr, enum clears how, const word a[6], struct statx *st) {
	int same = how != FD && unwritten();
	word result = site6(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (result >= 0 && !same && raw(statx, PINNED_FD, "", AT_EMPTY_PATH, STATX_BASIC_STATS, st) == 0)
		hand_to_coordinator(st->stx_mode & 01777);
	return result;
}

// call makes a call of a program.
static word call(word nr, const word a[6]) {
	word result = site6(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (result <= 0 || (nr != __NR_listxattr && nr != __NR_llistxattr && nr != __NR_flistxattr))
		return result;
	char names[4096]; // for a[2] == 0
	if (a[2] != 0)
		return without_disk_acls((char *)a[1], result);
	return without_disk_acls(names, must("listxattr", raw6(nr, a[0], (word)names, sizeof(names), 0, 0, 0)));
}

static word execute(struct op *op) {
	word a[6];
	for (int i = 0; i < 6; i++) {
		a[i] = op->argument[i];
		switch ((enum kind)op->kind[i]) {
		case NUMBER:
			break;
		case VARIABLE:
			a[i] = shared->variables[a[i] % VARIABLES];
			break;
		case PROCESS:
			a[i] = shared->slots[a[i] % ACTORS].process;
			break;
		case TASK:
			a[i] = shared->slots[a[i] % ACTORS].task;
			break;
		}
	}
	if (op->nr == FORK)
		return fork_actor(a[0]);
	if (op->nr == THREAD)
		return start_thread(op->actor, a[0]);
	if (op->nr == MAP)
		return write_map(a);
	if (op->nr == ENTER)
		return enter(a[0]);
	struct statx st = {0};
	word result;
	if (pin(op->clears, a, &st) && (st.stx_mode & 0170000) == 0100000 && st.stx_mode & 06000)
		result = write_set_id(op->nr, op->clears, a, &st);
	else
		result = call(op->nr, a);
	// openat2(2), of RESOLVE_IN_ROOT and RESOLVE_BENEATH: EAGAIN if "the kernel could not
	// ensure that a ".." component didn't escape (due to a race condition or potential
	// attack)", such as any rename on the machine.
	for (int tries = 0; op->nr == __NR_openat2 && result == -EAGAIN && tries < 1000; tries++)
		result = site6(op->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (op->clears)
		raw(close, PINNED_FD);
	return result;
}

static void finish(struct op *op, word result) {
	op->result = result;
	if (op->store < VARIABLES)
		shared->variables[op->store] = result;
	shared->next++;
	hand_on();
}

// act executes an actor's operations until the program ends.
static void act(word me) {
	struct slot *s = &shared->slots[me];
	for (;;) {
		while (!__atomic_exchange_n(&s->turn, 0, __ATOMIC_SEQ_CST))
			raw(futex, &s->turn, FUTEX_WAIT, 0, 0);
		struct op *op = &program->op[shared->next];
		finish(op, execute(op));
	}
}

// continue_after_exec is where an actor continues after a successful execve.
static void continue_after_exec(void) {
	unsigned me = shared->running;
	struct slot *s = &shared->slots[me];
	for (unsigned k = 1; k < ACTORS; k++)
		if (k != me && shared->slots[k].process == s->process)
			shared->slots[k].alive = 0; // execve(2): "all threads other than the calling thread are destroyed"
	s->task = s->process;
	finish(&program->op[shared->next], 0);
	act(me);
}

static void read_all(char *to, unsigned long n) {
	while (n > 0) {
		word r = raw(read, INPUT_FD, to, n);
		if (r == 0)
			raw(exit_group, 0);
		must("read", r);
		to += r;
		n -= r;
	}
}

static void write_all(const void *from, unsigned long n) {
	while (n > 0) {
		word r = must("write", raw(write, OUTPUT_FD, from, n));
		from = (const char *)from + r;
		n -= r;
	}
}

static void first_actor(void) {
	raw(close, INPUT_FD);
	raw(close, OUTPUT_FD);
	raw(close, 2);
	// Descriptors 0 to 2 are the program's directory.
	must("open .", raw(openat, AT_FDCWD, ".", O_PATH | O_DIRECTORY, 0));
	must("dup", raw(dup3, 0, 1, 0));
	must("dup", raw(dup3, 0, 2, 0));
	if (program->ipc)
		must("unshare", raw(unshare, CLONE_NEWIPC));
	if (program->chroot) {
		must("chroot", raw(chroot, "."));
		must("chdir", raw(chdir, "/"));
	}
	act(1);
}

// PATIENCE is how many seconds an operation may take, also on a loaded machine.
enum { PATIENCE = 10 };

// wait_for_end waits until the program ends, or an operation hangs.
static void wait_for_end(void) {
	struct slot *mine = &shared->slots[0];
	unsigned current = 0;
	for (int seconds = 0; seconds < PATIENCE;) {
		if (__atomic_exchange_n(&mine->turn, 0, __ATOMIC_SEQ_CST)) {
			if (!shared->mend_task)
				return;
			mend();
			continue;
		}
		struct __kernel_timespec second = {1, 0};
		if (raw(futex, &mine->turn, FUTEX_WAIT, 0, &second) != -ETIMEDOUT)
			continue;
		unsigned next = __atomic_load_n(&shared->next, __ATOMIC_SEQ_CST);
		seconds = next == current ? seconds + 1 : 0;
		current = next;
	}
}

// end_actors kills all actors, and marks the operation that hung, if any, and those that
// therefore did not run.
static void end_actors(void) {
	for (unsigned k = 1; k < ACTORS; k++)
		if (shared->slots[k].alive)
			raw(kill, shared->slots[k].process, SIGKILL);
	word r;
	while ((r = raw(wait4, -1, 0, 0, 0)) > 0 || r == -EINTR)
		;
	for (unsigned i = shared->next; i < program->ops; i++)
		program->op[i].result = i == shared->next ? HUNG : DEAD;
}

static void run(void) {
	memset(shared->slots, 0, sizeof(shared->slots));
	for (int i = 0; i < VARIABLES; i++)
		shared->variables[i] = -1;
	shared->next = 0;
	shared->mend_task = 0;
	const char *name = enter_program();
	struct slot *s = &shared->slots[1];
	s->alive = 1;
	word pid = must("fork", raw(clone, SIGCHLD, 0, 0, 0, 0));
	if (pid == 0)
		first_actor();
	s->process = s->task = pid;
	hand_on();
	wait_for_end();
	end_actors();

	struct out o = {(char *)BASE + TREE, (char *)BASE + LIMIT};
	must("chdir", raw(chdir, place));
	put_inode(&o, ".");
	put_tree(&o, name);
	// Undo what the program did to the directory above its own.
	char names[1024];
	word n = raw(listxattr, ".", names, sizeof(names));
	for (word i = 0; i < n; i += length(names + i) + 1)
		raw(removexattr, ".", names + i);
	must("chown /w", raw(fchownat, AT_FDCWD, ".", 0, 0, 0));
	must("chmod /w", raw(fchmodat, AT_FDCWD, ".", 0755));

	uint32_t sizes[2] = {program->size, o.at - ((char *)BASE + TREE)};
	write_all(sizes, sizeof(sizes));
	write_all(program, sizes[0]);
	write_all((char *)BASE + TREE, sizes[1]);
}

static void map(void) {
	must("mmap", raw(mmap, BASE, LIMIT, 3 /* PROT_READ | PROT_WRITE */, 0x11 /* MAP_SHARED | MAP_FIXED */, SHARED_FD, 0));
}

// set_up prepares the coordinator: its descriptors, the shared memory, and its signals.
static void set_up(void) {
	must("dup", raw(dup3, 0, INPUT_FD, 0));
	must("dup", raw(dup3, 1, OUTPUT_FD, 0));
	word fd = must("memfd_create", raw(memfd_create, "shared", 0));
	must("dup", raw(dup3, fd, SHARED_FD, 0));
	must("ftruncate", raw(ftruncate, SHARED_FD, LIMIT));
	map();
	fd = must("open /proc/self/exe", raw(openat, AT_FDCWD, "/proc/self/exe", O_RDONLY, 0));
	shared->image = must("read /proc/self/exe", raw(read, fd, BASE + IMAGE, PROGRAM - IMAGE));
	for (fd = 0; fd < 1000; fd++)
		if (fd != 2)
			raw(close, fd);
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	int ignored[] = {SIGPIPE, SIGUSR1, SIGUSR2, SIGIO};
	for (unsigned i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		must("sigaction", raw(rt_sigaction, ignored[i], &ignore, 0, 8));
	raw(umask, 022);
}

// begin is the entry point. Its arguments are --interpret, or --interpret-accelerated, and the
// file system and, for real root, ROOT and SOURCE, the directory for /w. With other arguments, this is the
// program that an actor executes.
void begin(word *stack) {
	word count = stack[0];
	char **arguments = (char **)stack + 1;
	int accelerated = count == 3 && equal(arguments[1], "--interpret-accelerated");
	if (!accelerated && (count < 3 || !equal(arguments[1], "--interpret"))) {
		map();
		continue_after_exec();
	}
	set_up();
	shared->real = count == 5;
	if (shared->real)
		enter_root(arguments[3], arguments[4]);
	must("setgroups", raw(setgroups, 0, 0));
	make_place(arguments[2]);
	if (accelerated)
		accelerate();
	write_all(&shared->image, sizeof(shared->image));
	for (;;) {
		read_all((char *)program, sizeof(*program));
		if (program->size > TREE - PROGRAM)
			fail("the program is too large", program->size);
		read_all((char *)program + sizeof(*program), program->size - sizeof(*program));
		run();
	}
}
