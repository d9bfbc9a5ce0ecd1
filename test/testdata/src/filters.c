// Usage: filters TEST [SECONDS]. Like accelerated, with seccomp filters of the program's own that kill it
// for calls that only the code makes.
#include "accelerated.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>

static struct sock_filter filter[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 4), // the architecture
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 5),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), // the number
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getxattr, 4, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_lgetxattr, 3, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fgetxattr, 2, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 464, 1, 0), // getxattrat
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
};

static volatile int running;

static void *make_calls(void *arg) {
	struct stat st;
	(void)arg;
	for (__atomic_add_fetch(&running, 1, __ATOMIC_SEQ_CST); running;)
		CHECK(site("file", &st) == 0 && st.st_ino == mine.st_ino);
	return NULL;
}

// A filter for all threads takes effect while they are anywhere in the code.
static void test_threads(double seconds) {
	struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};
	warm_up();
	for (double until = now() + seconds; now() < until && !wrong;) {
		pid_t pid = fork();
		if (pid == 0) {
			pthread_t threads[3];
			for (int i = 0; i < 3; i++)
				CHECK(pthread_create(&threads[i], NULL, make_calls, NULL) == 0);
			while (running < 3)
				sched_yield();
			CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
			CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0);
			for (int i = 0; i < 3; i++)
				right();
			running = 0;
			for (int i = 0; i < 3; i++)
				pthread_join(threads[i], NULL);
			_exit(wrong);
		}
		CHECK(succeeds(pid));
	}
}

static long call_i386(long nr, long a, long b, const void *c) {
	long r;
	__asm__ volatile("int $0x80" : "=a"(r) : "0"(nr), "b"(a), "c"(b), "d"(c) : "r8", "r9", "r10", "r11", "memory");
	return (int)r;
}

// A process installs the filter with a call of i386, whose structures are below 4 GiB.
static void test_i386(double seconds) {
	(void)seconds;
	struct { uint16_t length; uint32_t code; } *program = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	CHECK(program != MAP_FAILED);
	program->length = sizeof(filter) / sizeof(filter[0]);
	program->code = (uintptr_t)(program + 1);
	memcpy(program + 1, filter, sizeof(filter));
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	warm_up();
	for (int prctl_too = 0; prctl_too < 2 && !wrong; prctl_too++) {
		pid_t pid = fork();
		if (pid == 0) {
			long r = prctl_too ? call_i386(172, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program) : call_i386(354, SECCOMP_SET_MODE_FILTER, 0, program);
			CHECK(r == 0 || r == -ENOSYS); // a kernel without these calls
			for (int i = 0; r == 0 && i < 50; i++)
				right();
			_exit(wrong);
		}
		CHECK(succeeds(pid));
	}
}

static const struct test tests[] = {{"threads", test_threads}, {"i386", test_i386}};

int main(int argc, char **argv) { return run(tests, sizeof(tests) / sizeof(tests[0]), argc, argv); }
