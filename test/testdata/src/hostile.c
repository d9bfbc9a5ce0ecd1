// hostile CALLS SEED [UID] makes random system calls of all ABIs, with random arguments, in
// processes and threads that race for the same descriptors and memory. It then reports how many
// calls it has made. Its processes may end in any way; what must survive is the supervisor.
//
// It must run in a container with a PID namespace and a directory /scratch of its own.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	CALLS_PER_PROCESS = 4000,
	THREADS = 3,
	PROCESSES = 12, // at the same time: many wait for something that does not come
	LIMIT_SECONDS = 2, // a process that hangs, as many calls may, is ended then
	POOL = 64 * 1024,
	HIGHEST = 480, // more than the highest number of a call
};

static struct shared {
	atomic_ulong calls;
} *shared;

static char *pool; // below 4 GiB, so that 32-bit calls reach it, too

static const char *const paths[] = {
	"a", "b", "c/d", "c", "link", "fifo", "socket", ".", "..", "../scratch/a", "/", "/scratch", "/proc/self/fd/3",
	"/proc/self/root", "/proc/self/ns/mnt", "/proc/self/status", "/proc/self/uid_map", "/proc/1/root", "/proc/thread-self/cwd",
	"/dev/null", "/dev/zero", "/dev/tty", "/etc/passwd", "", "user.x", "system.posix_acl_access", "security.capability",
	"trusted.y", "user.rootlesscontainers", "/sys", "/tmp", "/proc", "/bin/busybox",
};

static __thread uint64_t state;

static uint64_t next(void) { // splitmix64
	uint64_t z = state += 0x9e3779b97f4a7c15;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static uint64_t below(uint64_t n) { return next() % n; }

// place returns an address in the pool: often of a path, otherwise of anything.
static char *place(void) {
	char *p = pool + below(POOL - 512);
	switch (below(4)) {
	case 0:
		return p;
	case 1: // at the end, where the memory ends, too
		return pool + POOL - below(64);
	case 2: // random bytes, with small numbers more often
		for (int i = 0; i < 16; i++)
			((uint32_t *)((uintptr_t)p & ~3ul))[i] = below(2) ? below(16) : next();
		return p;
	default:
		return strcpy(p, paths[below(sizeof(paths) / sizeof(*paths))]);
	}
}

static uint64_t argument(void) {
	static const int64_t interesting[] = {0, 1, -1, -100, 2, 4096, 65534, 1000, 0x7fffffff, 0xffffffff, INT64_MIN, 0x1000, 0x800, 0x40000, 01777, 06755};
	switch (below(10)) {
	case 0: case 1: case 2: case 3:
		return (uintptr_t)place();
	case 4: case 5:
		return below(24); // descriptors, small flags
	case 6: case 7:
		return interesting[below(sizeof(interesting) / sizeof(*interesting))];
	case 8:
		return UINT64_C(1) << below(64);
	default:
		return next();
	}
}

#ifdef __x86_64__
static long call32(uint32_t nr, const uint64_t *a) {
	long r;
	register uint64_t bp __asm__("r12") = (uint32_t)a[5];
	__asm__ volatile("push %%rbp; mov %%r12d, %%ebp; int $0x80; pop %%rbp"
		: "=a"(r) : "a"(nr), "b"((uint32_t)a[0]), "c"((uint32_t)a[1]), "d"((uint32_t)a[2]), "S"((uint32_t)a[3]), "D"((uint32_t)a[4]), "r"(bp)
		: "memory", "r8", "r9", "r10", "r11", "cc");
	return r;
}
#endif

// excluded reports whether a call would end or stop the whole process and tell nothing.
static int excluded(long nr) {
	switch (nr) {
	case SYS_exit: case SYS_exit_group: case SYS_rt_sigreturn: case SYS_rt_sigsuspend: case SYS_rt_sigtimedwait:
	case SYS_rt_sigprocmask: case SYS_seccomp: case SYS_ptrace:
#ifdef __x86_64__
	case SYS_pause: case SYS_fork: case SYS_vfork:
#endif
	case SYS_clone: case SYS_clone3: // with random flags and stacks the child only crashes
		return 1;
	}
	return 0;
}

static void one(void) {
	uint64_t a[6];
	for (int i = 0; i < 6; i++)
		a[i] = argument();
	long nr = below(HIGHEST);
	unsigned abi = below(8);
#ifdef __x86_64__
	if (abi == 0) {
		// 1: exit, 2: fork, 29: pause, 72 and 179: sigsuspend, 119 and 173: sigreturn, 120: clone,
		// 190: vfork, 252: exit_group, 26: ptrace, 175 and 126: sigprocmask
		static const short not[] = {1, 2, 26, 29, 72, 119, 120, 126, 173, 175, 179, 190, 252, 354, 435};
		for (unsigned i = 0; i < sizeof(not) / sizeof(*not); i++)
			if (nr == not[i])
				return;
		// 37: kill, 238: tkill, 270: tgkill, 340: prlimit64, 348: process_vm_writev, 434: pidfd_open
		if (nr == 37 || nr == 238 || nr == 270 || nr == 178 || nr == 340 || nr == 348 || nr == 434)
			a[0] = a[1] = getpid();
		call32(nr, a);
		return;
	}
#endif
	if (excluded(nr))
		return;
	// Only its own process: the others count.
	if (nr == SYS_kill || nr == SYS_tkill || nr == SYS_tgkill || nr == SYS_rt_sigqueueinfo || nr == SYS_rt_tgsigqueueinfo)
		a[0] = a[1] = getpid();
	if (nr == SYS_prlimit64 || nr == SYS_process_vm_writev || nr == SYS_pidfd_open)
		a[0] = getpid();
	if (nr == SYS_setpgid || nr == SYS_setpriority || nr == SYS_ioprio_set)
		a[0] = a[1] = 0;
#ifdef __x86_64__
	if (abi == 1)
		nr |= 0x40000000; // x32
#endif
	syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static void *race(void *seed) {
	state = (uintptr_t)seed;
	for (int i = 0; i < CALLS_PER_PROCESS / THREADS; i++) {
		one();
		atomic_fetch_add_explicit(&shared->calls, 1, memory_order_relaxed);
	}
	return NULL;
}

static void handler(int signal) { (void)signal; }

static void limit(int resource, rlim_t n) {
	if (setrlimit(resource, &(struct rlimit){n, n}))
		perror("setrlimit");
}

// child is one process: it never returns.
static void child(uint64_t seed, int uid) {
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (uid == 0 && unshare(CLONE_NEWNS | CLONE_FS | CLONE_FILES))
		perror("unshare");
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_FSIZE, 1 << 20);
	limit(RLIMIT_AS, 512 << 20);
	if (uid && (setgroups(0, NULL) || setresgid(uid, uid, uid) || setresuid(uid, uid, uid))) {
		perror("becoming another user");
		_exit(1);
	}
	for (int s = 1; s < 32; s++)
		signal(s, s % 3 ? SIG_IGN : handler);
	for (int s = SIGILL; s <= SIGSEGV; s++)
		signal(s, SIG_DFL);
	int null = open("/dev/null", O_RDWR);
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	mkfifo("fifo", 0666);
	for (int fd = 3; fd < 10; fd++)
		open(paths[(seed + fd) % 8], O_RDWR | O_CREAT | O_NONBLOCK, 0666);
	// Many calls wait for something that does not come: signals interrupt them.
	struct sigaction interrupt = {.sa_handler = handler};
	sigaction(SIGALRM, &interrupt, NULL);
	setitimer(ITIMER_REAL, &(struct itimerval){{0, 5000}, {0, 5000}}, NULL);
	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, race, (void *)(uintptr_t)(seed * THREADS + i)))
			_exit(1);
	sigset_t all;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL); // the signals are for the threads
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	_exit(0);
}

int main(int argc, char **argv) {
	if (argc < 3) {
		fprintf(stderr, "usage: hostile CALLS SEED [UID]\n");
		return 2;
	}
	unsigned long want = strtoul(argv[1], NULL, 10);
	uint64_t seed = strtoull(argv[2], NULL, 10) << 32;
	int uid = argc > 3 ? atoi(argv[3]) : 0;
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pool = mmap((void *)0x10000000, POOL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (shared == MAP_FAILED || pool == MAP_FAILED || chdir("/scratch")) {
		perror("setting up");
		return 1;
	}
	sigset_t ended;
	sigemptyset(&ended);
	sigaddset(&ended, SIGCHLD);
	sigprocmask(SIG_BLOCK, &ended, NULL);
	unsigned long hung = 0, killed = 0;
	struct {
		pid_t pid; // 0: none
		time_t end;
	} running[PROCESSES] = {0};
	int left = 0;
	while (atomic_load(&shared->calls) < want || left > 0) {
		for (int i = 0; i < PROCESSES && atomic_load(&shared->calls) < want; i++) {
			if (running[i].pid)
				continue;
			pid_t pid = fork();
			if (pid == 0) {
				sigprocmask(SIG_UNBLOCK, &ended, NULL);
				child(seed, uid);
			}
			seed++;
			if (pid < 0) {
				perror("fork");
				return 1;
			}
			running[i].pid = pid;
			running[i].end = time(NULL) + LIMIT_SECONDS;
			left++;
		}
		sigtimedwait(&ended, NULL, &(struct timespec){1, 0});
		for (int i = 0; i < PROCESSES; i++) {
			pid_t pid = running[i].pid;
			int status;
			if (pid && waitpid(pid, &status, WNOHANG) == 0) {
				if (time(NULL) <= running[i].end || kill(pid, SIGKILL))
					continue;
				waitpid(pid, &status, 0);
				hung++;
			}
			if (pid) {
				killed += WIFSIGNALED(status);
				running[i].pid = 0;
				left--;
			}
		}
	}
	// Which processes hang or die depends on the arguments only.
	printf("%lu calls, %lu processes ended by a signal, %lu after %d s\n", atomic_load(&shared->calls), killed, hung, LIMIT_SECONDS);
	return 0;
}
