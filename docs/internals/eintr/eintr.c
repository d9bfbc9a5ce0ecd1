// Usage: eintr [FLAG [SECONDS]]. Counts how many system calls that never fail with EINTR do so
// because they are notified: getppid(2), with a signal handler without SA_RESTART. FLAG is that of
// seccomp(2) with which the filter is installed: "none", "recv" (WAIT_KILLABLE_RECV, the default) or
// "killable" (WAIT_KILLABLE, of the patch). Exit status 2: the kernel does not know the flag.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV // Linux 5.19
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE (1UL << 6)

static void nothing(int sig) { (void)sig; }

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

// supervise lets the kernel execute each call.
static void supervise(int listener) {
	for (;;) {
		struct seccomp_notif call = {0};
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0)
			continue; // ENOENT: it has been interrupted
		struct seccomp_notif_resp answer = {.id = call.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
		ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
	}
}

int main(int argc, char **argv) {
	const char *name = argc > 1 ? argv[1] : "recv";
	double seconds = argc > 2 ? atof(argv[2]) : 2;
	unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER;
	if (strcmp(name, "recv") == 0)
		flags |= SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
	else if (strcmp(name, "killable") == 0)
		flags |= SECCOMP_FILTER_FLAG_WAIT_KILLABLE;
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	int listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
	if (listener < 0) {
		perror("seccomp");
		return 2;
	}
	pid_t supervisor = fork();
	if (supervisor == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		supervise(listener);
	}
	struct sigaction action = {.sa_handler = nothing};
	struct itimerval every = {{0, 100}, {0, 100}}, never = {{0, 0}, {0, 0}};
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	unsigned long calls = 0, failed = 0;
	for (double end = now() + seconds; now() < end; calls++)
		if (syscall(SYS_getppid) < 0 && errno == EINTR)
			failed++;
	setitimer(ITIMER_REAL, &never, NULL);
	printf("%lu of %lu calls failed with EINTR\n", failed, calls);
	kill(supervisor, SIGKILL);
	waitpid(supervisor, NULL, 0);
	return 0;
}
