// Usage: accelerated TEST [SECONDS]. Does what could go wrong in a process that answers its own
// system calls, prints what is wrong, and then "ok". With SUBUIDLESS_ACCELERATED in the
// environment, it also checks that it is accelerated.
#include "accelerated.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/user.h>

static void test_calls(double seconds) {
	(void)seconds;
	// The code shall be within reach of this call site: near the first one that repeats itself.
	struct stat st;
	for (int i = 0; i < 64; i++)
		CHECK(site("file", &st) == 0);
	for (int i = 0; i < 2000; i++)
		right();
	warm_up();
	int fd = open("file", O_RDONLY | O_CLOEXEC);
	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
	close(fd);
	fd = open("file", O_PATH);
	CHECK(fd >= 0 && (fcntl(fd, F_GETFL) & O_PATH));
	close(fd);
	fd = open("new", O_CREAT | O_EXCL | O_WRONLY, 0600);
	CHECK(fd >= 0);
	CHECK(fchown(fd, 7, 8) == 0);
	CHECK(fstat(fd, &st) == 0 && st.st_uid == 7 && st.st_gid == 8);
	CHECK(site("new", &st) == 0 && st.st_uid == 7);
	CHECK(chown("new", 0, 0) == 0);
	CHECK(site("new", &st) == 0 && st.st_uid == 0);
	CHECK(unlink("new") == 0);
	close(fd);
}

// All registers, the flags and the red zone survive a call.
struct registers {
	uint64_t rbx, rbp, rdi, rsi, rdx, r8, r9, r10, r12, r13, r14, r15, rcx, r11, rax, flags, red[16], after;
};
void call_with_registers(struct registers *in, struct registers *out);
__asm__(".text\n.globl call_with_registers\ncall_with_registers:\n"
	"	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
	"	sub $256, %rsp\n"
	"	mov %rsi, (%rsp)\n"
	"	mov %rdi, %rax\n"
	// the red zone
	"	lea 128(%rax), %rsi\n"
	"	lea -128(%rsp), %rdi\n"
	"	mov $16, %ecx\n"
	"	rep movsq\n"
	"	mov 0(%rax), %rbx; mov 8(%rax), %rbp; mov 16(%rax), %rdi; mov 24(%rax), %rsi; mov 32(%rax), %rdx\n"
	"	mov 40(%rax), %r8; mov 48(%rax), %r9; mov 56(%rax), %r10; mov 64(%rax), %r12; mov 72(%rax), %r13\n"
	"	mov 80(%rax), %r14; mov 88(%rax), %r15\n"
	"	mov 120(%rax), %rcx\n"
	"	lea 128(%rsp), %rsp; push %rcx; popfq; lea -128(%rsp), %rsp\n"
	"	mov $262, %eax\n"
	"	syscall\n"
	"after_registers:\n"
	"	mov %rax, 8(%rsp)\n"
	"	mov (%rsp), %rax\n"
	"	mov %rbx, 0(%rax); mov %rbp, 8(%rax); mov %rdi, 16(%rax); mov %rsi, 24(%rax); mov %rdx, 32(%rax)\n"
	"	mov %r8, 40(%rax); mov %r9, 48(%rax); mov %r10, 56(%rax); mov %r12, 64(%rax); mov %r13, 72(%rax)\n"
	"	mov %r14, 80(%rax); mov %r15, 88(%rax); mov %rcx, 96(%rax); mov %r11, 104(%rax)\n"
	"	mov 8(%rsp), %rcx; mov %rcx, 112(%rax)\n"
	"	lea 128(%rsp), %rsp; pushfq; pop %rcx; lea -128(%rsp), %rsp\n"
	"	mov %rcx, 120(%rax)\n"
	"	cld\n"
	"	lea after_registers(%rip), %rcx; mov %rcx, 256(%rax)\n"
	"	lea -128(%rsp), %rsi\n"
	"	lea 128(%rax), %rdi\n"
	"	mov $16, %ecx\n"
	"	rep movsq\n"
	"	add $256, %rsp\n"
	"	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
	"	ret\n");

static void test_registers(double seconds) {
	(void)seconds;
	struct stat st;
	const uint64_t flags[] = {0x202, 0x202 | 0x8d5, 0x202 | 1, 0x202 | 0x40, 0x602};
	for (int i = 0; i < 200; i++) {
		const char *paths[] = {"file", "none", "owned", (char *)8};
		struct registers in, out;
		memset(&out, 0, sizeof(out));
		for (unsigned k = 0; k < sizeof(in) / 8; k++)
			((uint64_t *)&in)[k] = 0x1111111111111111 * (k % 15 + 1) + i;
		in.rdi = (uint32_t)AT_FDCWD;
		in.rsi = (uint64_t)paths[i / 5 % 4];
		in.rdx = (uint64_t)&st;
		in.r10 = 0;
		in.flags = flags[i % 5];
		call_with_registers(&in, &out);
		CHECK((long)out.rax == (const long[]){0, -ENOENT, 0, -EFAULT}[i / 5 % 4]);
		CHECK(out.rcx == out.after);
		CHECK((out.r11 & 0xcd5) == (in.flags & 0xcd5));
		CHECK((out.flags & 0xcd5) == (in.flags & 0xcd5));
		out.rax = in.rax, out.rcx = in.rcx, out.r11 = in.r11, out.flags = in.flags, out.after = in.after;
		CHECK(memcmp(&in, &out, sizeof(in)) == 0);
	}
}

// Signals at any instant, whose handlers make the same calls, and may not return.
static volatile sig_atomic_t signals, leave;
static sigjmp_buf back;

static volatile sig_atomic_t interval; // from the end of a handler to the next signal, in microseconds; 0: no signal
static volatile sig_atomic_t ready;	   // there is somewhere to go back to

static void arm(void) {
	struct itimerval once = {{0, 0}, {0, interval}};
	CHECK(setitimer(ITIMER_REAL, &once, NULL) == 0);
}

static void alarms(int microseconds) {
	interval = microseconds;
	arm();
}

static void on_alarm(int sig) {
	(void)sig;
	int before = errno;
	signals++;
	right();
	errno = before;
	if (interval)
		arm(); // not before: on a busy machine, the rest of the program would never run
	if (leave && ready && signals % 3 == 0)
		siglongjmp(back, 1);
}

static int descriptors(void) {
	int n = 0;
	for (int fd = 0; fd < 1000; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void in_signals(double seconds) {
	int inherited = descriptors();
	struct sigaction act = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
	CHECK(sigaction(SIGALRM, &act, NULL) == 0);
	for (double end = now() + seconds; now() < end && !wrong;) {
		// Each child is accelerated anew, in the middle of signals.
		pid_t pid = fork();
		CHECK(pid >= 0);
		if (pid == 0) {
			alarms(100 + rand() % 200);
			for (volatile int i = 0; i < 300; i++)
				if (sigsetjmp(back, 1) == 0) {
					ready = 1;
					right();
				}
			alarms(0);
			CHECK(leave || descriptors() == inherited);
			_exit(wrong);
		}
		int status;
		pid_t r;
		while ((r = waitpid(pid, &status, 0)) < 0 && errno == EINTR)
			;
		CHECK(r == pid && status == 0);
	}
}

static void test_signals(double seconds) { in_signals(seconds); }

static void test_longjmp(double seconds) {
	leave = 1;
	in_signals(seconds);
}

static double until;
static volatile long rounds; // that threads have made

static void *thread(void *arg) {
	(void)arg;
	for (; now() < until && !wrong; rounds++)
		right();
	return NULL;
}

static void in_threads(double seconds) {
	pthread_t threads[4];
	until = now() + seconds;
	for (int i = 0; i < 4; i++)
		CHECK(pthread_create(&threads[i], NULL, thread, NULL) == 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
}

// Threads of a process that is accelerated, and of one that is not.
static void test_threads(double seconds) {
	in_threads(seconds / 2);
	CHECK(!patched());
	warm_up();
	in_threads(seconds / 2);
}

// A process gets threads when its bootstrap has been written, and has not run.
static void test_bootstrap_threads(double seconds) {
	struct stat st;
	for (int i = 0; i < (expected ? 200000 : 10) && !patched(); i++) // as in warm_up
		CHECK(site("file", &st) == 0);
	CHECK(!expected || patched());
	CHECK(!mapped());
	in_threads(seconds);
	CHECK(!mapped());
}

extern char **environ;

// A process gets the code at its first call, because an earlier one of its program has needed it, and
// then threads. The known call sites have been patched, in the program and in the C library.
static void test_early(double seconds) {
	if (getenv("EARLY")) {
		if (expected && (!mapped() || !patched()))
			_exit(3);
		in_threads(seconds / 4);
		_exit(wrong);
	}
	warm_up();
	CHECK(setenv("EARLY", "1", 1) == 0);
	// Another receiver may not have noticed the program yet.
	for (int i = 0, status = -1; i < 20 && status != 0; i++) {
		char *const argv[] = {"accelerated", "early", NULL};
		pid_t pid;
		CHECK(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ) == 0);
		CHECK(waitpid(pid, &status, 0) == pid && (status == 0 || status == 3 << 8));
		CHECK(status == 0 || i < 19);
	}
}

static void test_fork(double seconds) {
	struct stat st;
	for (double end = now() + seconds; now() < end && !wrong;) {
		pid_t pid = fork();
		if (pid == 0) {
			// A child at each step of the acceleration.
			for (int i = 0; i < 12; i++) {
				pid_t child = i % 2 ? vfork() : fork();
				if (child == 0) {
					int bad = site("file", &st) != 0 || site("none", &st) != -ENOENT;
					bad |= stat("owned", &st) != 0 || st.st_uid != 42;
					_exit(bad);
				}
				CHECK(succeeds(child));
				right();
			}
			char *const argv[] = {"accelerated", "calls", NULL};
			posix_spawn_file_actions_t actions;
			posix_spawn_file_actions_init(&actions);
			posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
			pid_t spawned;
			CHECK(posix_spawn(&spawned, "/proc/self/exe", &actions, NULL, argv, environ) == 0);
			CHECK(succeeds(spawned));
			_exit(wrong);
		}
		CHECK(succeeds(pid));
	}
}

// Code that is unmapped and replaced by other code at the same address.
static void test_unmap(double seconds) {
	(void)seconds;
	warm_up();
	struct stat st, other;
	CHECK(stat("owned", &other) == 0);
	unsigned char *page = NULL;
	for (int i = 0; i < 200; i++) {
		// mov %rcx, %r10 where fstatat has it; nothing at all for getuid
		static const unsigned char fstatat_code[] = {0x90, 0x49, 0x89, 0xca, 0xb8, 6, 1, 0, 0, 0x0f, 5, 0xc3};
		static const unsigned char getuid_code[] = {0x90, 0x49, 0x89, 0xca, 0xb8, 102, 0, 0, 0, 0x0f, 5, 0xc3};
		static const unsigned char statx_code[] = {0x90, 0x49, 0x89, 0xca, 0xb8, 0x4c, 1, 0, 0, 0x0f, 5, 0xc3};
		unsigned char *p = mmap(page, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | (page ? MAP_FIXED : 0), -1, 0);
		CHECK(p != MAP_FAILED && (!page || p == page));
		page = p;
		memcpy(page, i % 3 == 0 ? fstatat_code : i % 3 == 1 ? getuid_code : statx_code, sizeof(fstatat_code));
		CHECK(mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0);
		long (*call)(long, const void *, void *, long, void *) = (void *)page;
		for (int k = 0; k < 5; k++)
			switch (i % 3) {
			case 0:
				CHECK(call(AT_FDCWD, "file", &st, 0, NULL) == 0 && st.st_ino == mine.st_ino);
				break;
			case 1:
				CHECK(call(0, NULL, NULL, 0, NULL) == 0);
				break;
			case 2: {
				struct statx x;
				CHECK(call(AT_FDCWD, "owned", 0, STATX_BASIC_STATS, &x) == 0 && x.stx_ino == other.st_ino && x.stx_uid == 42);
			}
			}
		if (i % 2)
			CHECK(munmap(page, 4096) == 0);
	}
	right();
}

// A filter of the program's own that kills it for calls that it does not make.
static void install_filter(void) {
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getxattr, 6, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fgetxattr, 5, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 464, 4, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prlimit64, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0);
}

static void test_filter(double seconds) {
	(void)seconds;
	struct stat st;
	for (int calls = 0; calls < 40 && !wrong; calls++) { // before, during and after the acceleration
		pid_t pid = fork();
		if (pid == 0) {
			for (int i = 0; i < calls; i++)
				site("file", &st);
			install_filter();
			for (int i = 0; i < 50; i++)
				right();
			_exit(wrong);
		}
		CHECK(succeeds(pid));
	}
}

extern char __executable_start;

// A program lets the kernel report calls from elsewhere than itself and its libraries, as programs do
// that run those of other systems. The code is elsewhere.
static void test_dispatch(double seconds) {
	(void)seconds;
	static char block = SYSCALL_DISPATCH_FILTER_BLOCK;
	struct stat st;
	for (int calls = 0; calls < 40 && !wrong; calls++) { // as in test_filter
		pid_t pid = fork();
		if (pid == 0) {
			for (int i = 0; i < calls; i++)
				site("file", &st);
			unsigned long start = (unsigned long)&__executable_start;
			CHECK(prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, start, (1UL << 47) - start, &block) == 0 || errno == EINVAL); // Linux 5.11
			for (int i = 0; i < 50; i++)
				right();
			_exit(wrong);
		}
		CHECK(succeeds(pid));
	}
}

// A process that is traced is left alone.
static void test_trace(double seconds) {
	(void)seconds;
	pid_t pid = fork();
	if (pid == 0) {
		CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
		raise(SIGSTOP);
		for (int i = 0; i < 30; i++)
			right();
		CHECK(!patched());
		CHECK(!mapped());
		_exit(wrong);
	}
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
	for (;;) {
		CHECK(ptrace(PTRACE_SYSCALL, pid, 0, 0) == 0);
		CHECK(waitpid(pid, &status, 0) == pid);
		if (!WIFSTOPPED(status) || wrong)
			break;
		struct user_regs_struct regs;
		CHECK(ptrace(PTRACE_GETREGS, pid, 0, &regs) == 0);
	}
	CHECK(status == 0);
	// A process that is accelerated already is traced: single steps through the code.
	pid = fork();
	if (pid == 0) {
		warm_up();
		CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
		raise(SIGSTOP);
		right();
		_exit(wrong);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
	while (WIFSTOPPED(status) && !wrong) {
		CHECK(ptrace(PTRACE_SINGLESTEP, pid, 0, 0) == 0);
		CHECK(waitpid(pid, &status, 0) == pid);
	}
	CHECK(status == 0);
}

// Another identity is answered by the supervisor.
static void test_identity(double seconds) {
	(void)seconds;
	struct stat st;
	CHECK(mkdir("private", 0700) == 0);
	int fd = open("private/file", O_CREAT | O_WRONLY, 0600);
	CHECK(fd >= 0 && close(fd) == 0);
	warm_up();
	for (int i = 0; i < 3; i++) {
		CHECK(site("private/file", &st) == 0);
		CHECK(access("private", X_OK) == 0);
		CHECK(seteuid(1000) == 0);
		CHECK(site("private/file", &st) == -EACCES);
		CHECK(open("private/file", O_RDONLY) < 0 && errno == EACCES);
		CHECK(access("private", X_OK) == 0); // by the real id
		CHECK(geteuid() == 1000 && getuid() == 0);
		CHECK(seteuid(0) == 0);
	}
	CHECK(setuid(1000) == 0);
	CHECK(access("private", X_OK) < 0 && errno == EACCES);
	CHECK(getuid() == 1000);
	CHECK(site("file", &st) == 0 && st.st_uid == 0);
	CHECK(fork() || (_exit(site("private/file", &st) != -EACCES), 0));
	int status;
	CHECK(wait(&status) > 0 && status == 0);
}

static void *executing(void *arg) {
	char *const argv[] = {"accelerated", "calls", NULL};
	(void)arg;
	// The process, as it is now, has given no chance to accelerate it: its successor has another.
	while (rounds < 200 && !wrong)
		usleep(1000);
	execv("/proc/self/exe", argv);
	return NULL;
}

// execve by another thread, in an accelerated process.
static void test_exec(double seconds) {
	(void)seconds;
	warm_up();
	for (int i = 0; i < 5; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			pthread_t t;
			until = now() + 60;
			CHECK(pthread_create(&t, NULL, thread, NULL) == 0);
			CHECK(pthread_create(&t, NULL, executing, NULL) == 0);
			thread(NULL);
			_exit(1);
		}
		CHECK(succeeds(pid));
	}
	for (int i = 0; i < 20; i++) { // fails
		char *const argv[] = {"none", NULL};
		CHECK(execv("none", argv) < 0 && errno == ENOENT);
		right();
	}
}

static char stack[64 << 10] __attribute__((aligned(16)));
static volatile int finished;

static int sharer(void *arg) {
	(void)arg;
	struct stat st;
	for (int i = 0; i < 2000; i++)
		if (site("file", &st) != 0)
			return 1;
	finished = 1;
	return 0;
}

// Two processes with the same memory.
static void test_shared_memory(double seconds) {
	(void)seconds;
	pid_t pid = clone(sharer, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL);
	CHECK(pid > 0);
	struct stat st;
	while (!finished && !wrong)
		CHECK(site("file", &st) == 0);
	CHECK(succeeds(pid));
	CHECK(!patched());
}

// Code in memory that another process shares, which has no slots to jump to.
static void test_shared_code(double seconds) {
	(void)seconds;
	static const unsigned char code[] = {0x90, 0x49, 0x89, 0xca, 0xb8, 6, 1, 0, 0, 0x0f, 5, 0xc3}; // as in test_unmap
	warm_up();
	// Within reach of the slots, which are near the program.
	unsigned char *page = mmap((void *)(((uintptr_t)site_stat & -4096) + (512 << 20)), 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(page != MAP_FAILED);
	memcpy(page, code, sizeof(code));
	struct stat st;
	long (*call)(long, const void *, void *, long) = (void *)page;
	for (int i = 0; i < 2000; i++)
		CHECK(call(AT_FDCWD, "file", &st, 0) == 0 && st.st_ino == mine.st_ino);
	CHECK(memcmp(page, code, sizeof(code)) == 0);
}

static const struct test tests[] = {
	{"calls", test_calls}, {"registers", test_registers}, {"signals", test_signals}, {"longjmp", test_longjmp},
	{"threads", test_threads}, {"bootstrap threads", test_bootstrap_threads}, {"early", test_early}, {"fork", test_fork}, {"unmap", test_unmap},
	{"filter", test_filter}, {"dispatch", test_dispatch}, {"trace", test_trace}, {"identity", test_identity}, {"exec", test_exec},
	{"shared memory", test_shared_memory}, {"shared code", test_shared_code},
};

int main(int argc, char **argv) { return run(tests, sizeof(tests) / sizeof(tests[0]), argc, argv); }
