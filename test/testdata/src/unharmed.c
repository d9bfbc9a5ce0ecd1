// Usage: unharmed TEST [SECONDS]. Like accelerated, with what others do to an accelerated process,
// and what it does to itself. LIBRARY is the library of the test "dlclose".
#include "accelerated.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/xattr.h>

#ifndef PR_SET_MDWE // Linux 6.3
#define PR_SET_MDWE 65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

// start returns a child that is accelerated anew, and makes calls until it is killed.
static pid_t start(void) {
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		while (!wrong)
			right();
		_exit(1);
	}
	return pid;
}

static void pause_at_random(void) {
	struct timespec t = {0, rand() % 400000};
	nanosleep(&t, NULL);
}

// end kills a child, which must not have ended before.
static void end(pid_t pid, int sig) {
	int status;
	CHECK(kill(pid, sig) == 0);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == sig);
}

// A process is stopped, and continued, at any instant.
static void test_stop(double seconds) {
	for (double until = now() + seconds; now() < until && !wrong;) {
		pid_t pid = start();
		for (int i = 0, status; i < 20; i++) {
			pause_at_random();
			CHECK(kill(pid, SIGSTOP) == 0);
			CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
			CHECK(kill(pid, SIGCONT) == 0);
		}
		end(pid, SIGKILL);
	}
}

// A debugger attaches at any instant, and leaves again.
static void test_attach(double seconds) {
	for (double until = now() + seconds; now() < until && !wrong;) {
		pid_t pid = start();
		for (int i = 0, status; i < 10; i++) {
			pause_at_random();
			CHECK(ptrace(PTRACE_SEIZE, pid, 0, 0) == 0);
			CHECK(ptrace(PTRACE_INTERRUPT, pid, 0, 0) == 0);
			CHECK(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
			for (int k = 0; k < 10 && !wrong; k++) {
				CHECK(ptrace(i % 2 ? PTRACE_SINGLESTEP : PTRACE_SYSCALL, pid, 0, 0) == 0);
				CHECK(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
			}
			CHECK(ptrace(PTRACE_DETACH, pid, 0, 0) == 0);
		}
		end(pid, SIGKILL);
	}
}

// await_calls waits until a child has made calls, or has ended.
static void await_calls(pid_t pid, volatile unsigned *calls) {
	siginfo_t info = {0};
	for (unsigned before = *calls; *calls < before + 3 && waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0;)
		sched_yield();
}

// A debugger steps through the code, and leaves after another number of instructions each time.
static void test_step(double seconds) {
	(void)seconds;
	volatile unsigned *calls = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(calls != MAP_FAILED);
	for (int steps = 1; steps < 160 && !wrong; steps += 3) {
		pid_t pid = fork();
		if (pid == 0) {
			struct stat st;
			for (warm_up(); site("file", &st) == 0; ++*calls)
				;
			_exit(1);
		}
		int status;
		await_calls(pid, calls);
		CHECK(ptrace(PTRACE_SEIZE, pid, 0, 0) == 0);
		CHECK(ptrace(PTRACE_INTERRUPT, pid, 0, 0) == 0);
		CHECK(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
		for (int i = 0; i < steps && !wrong; i++) {
			CHECK(ptrace(PTRACE_SINGLESTEP, pid, 0, 0) == 0);
			CHECK(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
		}
		CHECK(ptrace(PTRACE_DETACH, pid, 0, 0) == 0);
		await_calls(pid, calls);
		end(pid, SIGKILL);
	}
}

// A process dies at any instant, and dumps its memory.
static void test_die(double seconds) {
	struct rlimit core = {16 << 20, 16 << 20};
	CHECK(setrlimit(RLIMIT_CORE, &core) == 0);
	const int sigs[] = {SIGKILL, SIGABRT, SIGSEGV, SIGTERM};
	int i = 0;
	for (double until = now() + seconds; now() < until && !wrong; i++) {
		pid_t pid = start();
		pause_at_random();
		end(pid, sigs[i % 4]);
	}
}

// A library whose call sites are patched is closed, and opened again where it may be elsewhere.
static void test_dlclose(double seconds) {
	(void)seconds;
	struct stat st;
	const char *name = getenv("LIBRARY");
	for (int i = 0; name && i < 30 && !wrong; i++) {
		void *library = dlopen(name, RTLD_NOW);
		CHECK(library);
		long (*library_stat)(const char *, struct stat *) = (long (*)(const char *, struct stat *))dlsym(library, "library_stat");
		CHECK(library_stat);
		if (wrong)
			return;
		volatile unsigned char *code = dlsym(library, "library_site");
		for (int k = 0; k < 40 || (expected && k < 200000 && *code != 0xe9); k++)
			CHECK(library_stat("file", &st) == 0 && st.st_ino == mine.st_ino && library_stat("none", &st) == -ENOENT);
		CHECK(!expected || *code == 0xe9);
		CHECK(dlclose(library) == 0);
		right();
	}
}

// A call site on a page of its own. In a dynamic program the page is the last one but one of the
// text, so that there is room for a bootstrap on the last one.
long own_stat(long dirfd, const char *path, struct stat *st, long flags);
extern unsigned char own_site[];
__asm__(".section .text.own,\"ax\",@progbits\n"
	"	.balign 4096\n"
	"own_stat:\n"
	"own_site:\n"
	"	mov $262, %eax\n"
	"	mov %rcx, %r10\n"
	"	syscall\n"
	"	ret\n"
	"	.balign 4096\n"
	"	.previous\n");

static void own_right(int times) {
	struct stat st;
	for (int i = 0; i < times || (expected && i < 200000 && *(volatile unsigned char *)own_site != 0xe9); i++)
		CHECK(own_stat(AT_FDCWD, "file", &st, 0) == 0 && st.st_ino == mine.st_ino && own_stat(AT_FDCWD, "none", &st, 0) == -ENOENT);
}

// A program protects its text, writes it anew, and discards its private copy of it.
static void test_text(double seconds) {
	(void)seconds;
	static unsigned char original[4096];
	memcpy(original, own_site, sizeof(original));
	warm_up();
	for (int i = 0; i < 5; i++) {
		own_right(10);
		CHECK(mprotect(own_site, 4096, PROT_READ) == 0);
		CHECK(mprotect(own_site, 4096, PROT_READ | PROT_EXEC) == 0);
		own_right(10);
		CHECK(mprotect(own_site, 4096, PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
		memcpy(own_site, original, sizeof(original));
		CHECK(mprotect(own_site, 4096, PROT_READ | PROT_EXEC) == 0);
		own_right(10);
		CHECK(madvise(own_site, 4096, MADV_DONTNEED) == 0);
		CHECK(memcmp(own_site, original, sizeof(original)) == 0);
	}
	own_right(10);
}

// Attributes that restrict memory and debugging.
static void test_prctl(double seconds) {
	(void)seconds;
	for (int i = 0; i < 24 && !wrong; i++) { // before, during and after the acceleration
		pid_t pid = fork();
		if (pid == 0) {
			struct stat st;
			for (int k = 0; k < i; k++)
				CHECK(site("file", &st) == 0);
			CHECK(prctl(PR_SET_NAME, "other", 0, 0, 0) == 0);
			CHECK(prctl(PR_SET_DUMPABLE, i % 2, 0, 0, 0) == 0);
			CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
			prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0); // not in all kernels
			for (int k = 0; k < 40; k++)
				right();
			_exit(wrong);
		}
		CHECK(succeeds(pid));
	}
}

// Calls that never return EINTR do not do so at patched call sites, either: neither those that are
// answered in the process, nor those that are notified.
static volatile sig_atomic_t signals;

static void on_signal(int sig) {
	(void)sig;
	signals++;
}

static void test_interrupted(double seconds) {
	struct sigaction act = {.sa_handler = on_signal}; // no SA_RESTART
	struct itimerval every = {{0, 150}, {0, 150}}, never = {{0, 0}, {0, 0}};
	warm_up();
	own_right(10);
	if (!expected)
		return;
	CHECK(mkfifo("fifo", 0600) == 0);
	CHECK(sigaction(SIGALRM, &act, NULL) == 0);
	CHECK(setitimer(ITIMER_REAL, &every, NULL) == 0);
	for (double until = now() + seconds; (now() < until || signals < 100) && !wrong;) {
		struct stat st;
		CHECK(site("file", &st) == 0 && st.st_ino == mine.st_ino);
		CHECK(site("fifo", &st) == 0 && S_ISFIFO(st.st_mode)); // may have a record elsewhere
		own_right(1);
	}
	CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
}

// Identities of single threads, and of a child that shares the memory.
static void *as_user(void *arg) {
	struct stat st;
	(void)arg;
	CHECK(syscall(SYS_setresuid, 1000, 1000, 1000) == 0); // of this thread only
	for (int i = 0; i < 200; i++)
		CHECK(site("private/file", &st) == -EACCES);
	return NULL;
}

// A program that makes all code writable, as some do that replace functions, and then changes its identity.
static void make_writable(void) {
	char line[512];
	unsigned long from, to;
	FILE *maps = fopen("/proc/self/maps", "r");
	CHECK(maps != NULL);
	while (fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx r-x", &from, &to) == 2 && strstr(line, "/memfd:"))
			CHECK(mprotect((void *)from, to - from, PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
	fclose(maps);
}

static void test_identities(double seconds) {
	(void)seconds;
	struct stat st;
	CHECK(mkdir("private", 0700) == 0 || errno == EEXIST);
	int fd = open("private/file", O_CREAT | O_WRONLY, 0600);
	CHECK(fd >= 0 && close(fd) == 0);
	for (int i = 0; i < 12 && !wrong; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			for (int k = 0; k < 3 * i; k++)
				CHECK(site("private/file", &st) == 0);
			pid_t child = vfork();
			if (child == 0)
				_exit(syscall(SYS_setresuid, 1000, 1000, 1000) != 0 || site("private/file", &st) != -EACCES);
			CHECK(succeeds(child));
			for (int k = 0; k < 20; k++)
				CHECK(site("private/file", &st) == 0);
			_exit(wrong);
		}
		CHECK(succeeds(pid));
		pid = fork();
		if (pid == 0) {
			warm_up();
			make_writable();
			CHECK(syscall(SYS_setresuid, 1000, 1000, 1000) == 0);
			CHECK(site("private/file", &st) == -EACCES);
			_exit(wrong);
		}
		CHECK(succeeds(pid));
		pid = fork();
		if (pid == 0) {
			pthread_t t;
			warm_up();
			CHECK(pthread_create(&t, NULL, as_user, NULL) == 0);
			for (int k = 0; k < 200; k++)
				CHECK(site("private/file", &st) == 0);
			pthread_join(t, NULL);
			_exit(wrong);
		}
		CHECK(succeeds(pid));
	}
}

// A set-user-ID program, started by an accelerated process, is another user.
static void test_setuid(double seconds) {
	(void)seconds;
	CHECK(mkdir("private", 0700) == 0 || errno == EEXIST);
	int from = open("/proc/self/exe", O_RDONLY), to = open("setid", O_CREAT | O_WRONLY | O_TRUNC, 0755);
	char buffer[1 << 16];
	for (ssize_t n; (n = read(from, buffer, sizeof(buffer))) > 0;)
		CHECK(write(to, buffer, n) == n);
	CHECK(fchown(to, 42, 42) == 0 && fchmod(to, 04755) == 0 && close(to) == 0);
	warm_up();
	for (int i = 0; i < 5; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			execl("setid", "setid", "as user", NULL);
			_exit(1);
		}
		CHECK(succeeds(pid));
	}
}

// as_user_program is what the set-user-ID program does.
static int as_user_program(void) {
	struct stat st;
	for (int i = 0; i < 60; i++) {
		CHECK(geteuid() == 42 && getuid() == 0);
		CHECK(site("private/none", &st) == -EACCES);
		CHECK(open("owned", O_WRONLY) >= 0);
		CHECK(!patched());
	}
	return wrong;
}

// The owner that an accelerated process records, and the ACL that the supervisor does at the same
// time, are both there afterwards.
static void test_records(double seconds) {
	volatile int *turn = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(turn != MAP_FAILED);
	if (wrong)
		return;
	const uint16_t acl[] = {2, 0, 1, 6, 0xffff, 0xffff, 2, 6, 7, 0, 4, 4, 0xffff, 0xffff, 0x10, 6, 0xffff, 0xffff, 0x20, 4, 0xffff, 0xffff};
	pid_t pid = fork();
	if (pid == 0)
		for (int round = 1;; round++) {
			while (*turn != round)
				sched_yield();
			CHECK(setxattr("both", "system.posix_acl_access", acl, sizeof(acl), 0) == 0);
			*turn = -round;
		}
	warm_up();
	int round = 0;
	for (double until = now() + seconds; now() < until && !wrong;) {
		char value[100];
		struct stat st;
		int fd = open("both", O_CREAT | O_EXCL | O_WRONLY, 0644);
		CHECK(fd >= 0);
		*turn = ++round;
		for (volatile int i = 0; i < rand() % 20000; i++)
			;
		CHECK(fchown(fd, 42, 43) == 0);
		while (*turn != -round && !wrong)
			sched_yield();
		CHECK(fstat(fd, &st) == 0 && st.st_uid == 42 && st.st_gid == 43);
		CHECK(getxattr("both", "system.posix_acl_access", value, sizeof(value)) == sizeof(acl));
		CHECK(close(fd) == 0 && unlink("both") == 0);
	}
	end(pid, SIGKILL);
}

// An open that is notified keeps the locks of the process, which any close of the file would release.
static void test_locks(double seconds) {
	(void)seconds;
	const uint16_t acl[] = {2, 0, 1, 6, 0xffff, 0xffff, 2, 6, 7, 0, 4, 4, 0xffff, 0xffff, 0x10, 6, 0xffff, 0xffff, 0x20, 4, 0xffff, 0xffff};
	int fd = open("lock", O_CREAT | O_RDWR, 0644);
	CHECK(fd >= 0 && setxattr("lock", "system.posix_acl_access", acl, sizeof(acl), 0) == 0);
	warm_up();
	for (int i = 0; i < 50 && !wrong; i++) {
		struct flock lock = {.l_type = F_WRLCK};
		CHECK(fcntl(fd, F_SETLK, &lock) == 0);
		int other = open("lock", O_RDONLY);
		CHECK(other >= 0);
		pid_t pid = fork();
		if (pid == 0)
			_exit(fcntl(other, F_GETLK, &lock) != 0 || lock.l_type != F_WRLCK || lock.l_pid != getppid());
		CHECK(succeeds(pid));
		CHECK(close(other) == 0);
	}
}

static unsigned long text_sum(void) {
	extern const unsigned char __executable_start[], etext[];
	unsigned long sum = 0;
	for (const unsigned char *p = __executable_start; p < etext; p++)
		sum = sum * 31 + *p;
	return sum;
}

// A program that makes all calls with the C library checks its own text: that of the library is patched.
static void test_checksum(double seconds) {
	struct stat st;
	unsigned long before = text_sum();
	(void)seconds;
	for (int i = 0; i < 100 || (expected && i < 200000 && !mapped()); i++)
		CHECK(stat("none", &st) == -1 && errno == ENOENT);
	CHECK(!expected || mapped());
	CHECK(text_sum() == before);
}

static const struct test tests[] = {
	{"stop", test_stop}, {"attach", test_attach}, {"step", test_step}, {"die", test_die}, {"dlclose", test_dlclose}, {"text", test_text},
	{"prctl", test_prctl}, {"interrupted", test_interrupted}, {"identities", test_identities}, {"setuid", test_setuid},
	{"records", test_records}, {"locks", test_locks}, {"checksum", test_checksum},
};

int main(int argc, char **argv) {
	if (argc == 2 && strcmp(argv[1], "as user") == 0)
		return as_user_program();
	return run(tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
