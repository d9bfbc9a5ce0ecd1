// Calls for ids, groups, capabilities and limits with bad pointers and sizes, and the
// places where subuidless keeps identities: RLIMIT_LOCKS and the timer slack.
#include "call.h"
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

// in_child runs f in a child of root.
static void in_child(const char *name, void (*f)(void)) {
	printf("%s\n", name);
	fflush(stdout);
	pid_t child = must(fork());
	if (child == 0) {
		f();
		fflush(stdout);
		_exit(0);
	}
	int status;
	must(waitpid(child, &status, 0));
	if (status != 0)
		printf("ended with %x\n", status);
}

static void ids(void) {
	uint32_t a, b, c, *bad = (uint32_t *)8, *ro = read_only();
	must(syscall(SYS_setresgid, 4, 5, 6));
	must(syscall(SYS_setresuid, 1, 2, 3));
	for (int i = 0; i < 3; i++) {
		uint32_t *p[3] = {&a, &b, &c};
		a = b = c = 77;
		p[i] = bad;
		CALL(syscall(SYS_getresuid, p[0], p[1], p[2]));
		printf("  %u %u %u\n", a, b, c);
		a = b = c = 77;
		p[i] = i == 1 ? ro : NULL;
		CALL(syscall(SYS_getresgid, p[0], p[1], p[2]));
		printf("  %u %u %u\n", a, b, c);
	}
	CALL(syscall(SYS_getresuid, &a, &a, &a));
	printf("  %u\n", a);
}

static void groups(void) {
	static uint32_t list[65538];
	uint32_t *end = (uint32_t *)end_of_page();
	CALL(syscall(SYS_setgroups, 65537, list));
	CALL(syscall(SYS_setgroups, -1, list));
	CALL(syscall(SYS_setgroups, 65537, NULL));
	CALL(syscall(SYS_setgroups, 1, NULL));
	CALL(syscall(SYS_setgroups, 0, NULL));
	CALL(syscall(SYS_getgroups, 0, NULL));
	for (int i = 0; i < 65536; i++)
		list[i] = 70000 - i;
	CALL(syscall(SYS_setgroups, 65536, list));
	CALL(syscall(SYS_getgroups, 0, NULL));
	CALL(syscall(SYS_getgroups, 65535, list));
	CALL(syscall(SYS_getgroups, -1, list));
	CALL(syscall(SYS_getgroups, 65536, list));
	printf("  %u %u %u\n", list[0], list[1], list[65535]);
	CALL(syscall(SYS_getgroups, 65537, list));
	end[-1] = end[-2] = 9;
	CALL(syscall(SYS_setgroups, 3, end - 2)); // the last one is beyond the end
	end[-1] = -1;
	CALL(syscall(SYS_setgroups, 3, end - 2)); // but an earlier one is bad
	CALL(syscall(SYS_setgroups, 2, end - 2));
	CALL(syscall(SYS_getgroups, 0, NULL));
	list[0] = 3, list[1] = 1, list[2] = 3;
	CALL(syscall(SYS_setgroups, 3, list));
	end[-1] = end[-2] = 77;
	CALL(syscall(SYS_getgroups, 3, end - 2));
	printf("  %u %u\n", end[-2], end[-1]);
	CALL(syscall(SYS_getgroups, 3, NULL));
	CALL(syscall(SYS_getgroups, 2, end - 2));
	must(setuid(1));
	CALL(syscall(SYS_setgroups, 65537, list));
	CALL(syscall(SYS_setgroups, 1, NULL));
}

static void capabilities(void) {
	struct __user_cap_header_struct h = {0x1234, 0}, *rh = read_only();
	struct __user_cap_data_struct d[2], *end = (void *)end_of_page();
	must(prctl(PR_SET_KEEPCAPS, 1));
	must(setresuid(1, 2, 3));
	memset(d, 0, sizeof(d));
	CALL(syscall(SYS_capget, &h, d));
	printf("  %x\n", h.version);
	h.version = 0;
	CALL(syscall(SYS_capget, &h, NULL));
	printf("  %x\n", h.version);
	CALL(syscall(SYS_capget, &h, NULL));
	CALL(syscall(SYS_capget, rh, d)); // its version is 0
	CALL(syscall(SYS_capget, rh, NULL));
	CALL(syscall(SYS_capget, NULL, d));
	CALL(syscall(SYS_capget, NULL, NULL));
	CALL(syscall(SYS_capget, (char *)end - 4, d));
	*(uint32_t *)((char *)end - 4) = _LINUX_CAPABILITY_VERSION_3;
	CALL(syscall(SYS_capget, (char *)end - 4, d));
	CALL(syscall(SYS_capset, (char *)end - 4, d));
	CALL(syscall(SYS_capget, &h, 8));
	CALL(syscall(SYS_capget, &h, end - 1)); // version 3 has two
	CALL(syscall(SYS_capset, &h, end - 1));
	h.version = _LINUX_CAPABILITY_VERSION_1;
	CALL(syscall(SYS_capget, &h, end - 1));
	printf("  %x\n", end[-1].permitted & 0xff);
	end[-1].permitted = 0xff;
	CALL(syscall(SYS_capset, &h, end - 1));
	h.version = _LINUX_CAPABILITY_VERSION_3;
	CALL(syscall(SYS_capget, &h, d));
	printf("  %x %x %x\n", d[0].effective, d[0].permitted, d[1].permitted);
	h.pid = -1;
	CALL(syscall(SYS_capget, &h, d));
	CALL(syscall(SYS_capset, &h, d));
	h.pid = getpid();
	CALL(syscall(SYS_capget, &h, d));
	CALL(syscall(SYS_capset, &h, d));
	h.pid = 1 << 29;
	CALL(syscall(SYS_capget, &h, d));
	CALL(syscall(SYS_capset, &h, d));
	// Another process.
	int ready[2];
	must(pipe(ready));
	pid_t child = must(fork());
	if (child == 0) {
		must(setresuid(-1, 3, 3));
		must(write(ready[1], "", 1));
		pause();
	}
	must(read(ready[0], d, 1));
	h.pid = child;
	CALL(syscall(SYS_capget, &h, d));
	printf("  %x %x %x\n", d[0].effective, d[0].permitted, d[0].inheritable);
	CALL(syscall(SYS_capset, &h, d));
	must(kill(child, SIGKILL));
	h.version = 5;
	CALL(syscall(SYS_capset, &h, d));
	printf("  %x\n", h.version);
	CALL(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, 0, 1, 0));
	CALL(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, 0, 0, 1));
	CALL(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 1, 0));
	CALL(prctl(PR_CAP_AMBIENT, 77, 99, 0, 0));
	CALL(prctl(PR_SET_KEEPCAPS, -1));
	CALL(prctl(PR_CAPBSET_READ, -1));
	CALL(prctl(PR_CAPBSET_DROP, 64));
	CALL(prctl(PR_SET_SECUREBITS, -1));
}

static void print_locks(void) {
	struct rlimit l;
	must(syscall(SYS_getrlimit, RLIMIT_LOCKS, &l));
	printf("  %lx %lx\n", l.rlim_cur, l.rlim_max);
	must(prlimit(0, RLIMIT_LOCKS, NULL, &l));
	printf("  %lx %lx\n", l.rlim_cur, l.rlim_max);
}

// Root lacks CAP_SYS_RESOURCE on some machines, so it is dropped here.
static void limits(void) {
	struct rlimit l = {5, 4}, *ro = read_only();
	must(setuid(1));
	print_locks();
	CALL(syscall(SYS_setrlimit, RLIMIT_LOCKS, &l));
	CALL(syscall(SYS_setrlimit, RLIMIT_LOCKS, NULL));
	CALL(syscall(SYS_setrlimit, RLIMIT_LOCKS, end_of_page() - 8));
	CALL(syscall(SYS_getrlimit, RLIMIT_LOCKS, NULL));
	CALL(syscall(SYS_getrlimit, RLIMIT_LOCKS, ro));
	l.rlim_max = 0x5300000000000000; // looks like a cookie of an identity
	l.rlim_cur = l.rlim_max;
	CALL(setrlimit(RLIMIT_LOCKS, &l));
	print_locks();
	l.rlim_cur = 100;
	l.rlim_max = 1000;
	CALL(setrlimit(RLIMIT_LOCKS, &l));
	print_locks();
	l.rlim_max = 1001;
	CALL(setrlimit(RLIMIT_LOCKS, &l));
	l.rlim_cur = 50;
	l.rlim_max = 1000;
	CALL(syscall(SYS_prlimit64, 0, RLIMIT_LOCKS, &l, ro));
	print_locks();
	CALL(syscall(SYS_prlimit64, 0, RLIMIT_LOCKS, 8, &l));
	CALL(syscall(SYS_prlimit64, 1 << 29, RLIMIT_LOCKS, &l, NULL));
	CALL(syscall(SYS_prlimit64, -1, RLIMIT_LOCKS, NULL, NULL));
	CALL(syscall(SYS_prlimit64, 0, RLIMIT_LOCKS, NULL, NULL));
	CALL(getuid());
	// Another process, which inherits the limits, and a process of another user.
	pid_t parent = getpid(), child = must(fork());
	if (child == 0) {
		print_locks();
		l.rlim_cur = 7;
		CALL(prlimit(parent, RLIMIT_LOCKS, &l, NULL));
		l.rlim_max = 2000;
		CALL(prlimit(parent, RLIMIT_LOCKS, &l, NULL));
		fflush(stdout);
		_exit(0);
	}
	must(waitpid(child, NULL, 0));
	print_locks();
	CALL(prlimit(getppid(), RLIMIT_LOCKS, NULL, &l));
	CALL(getuid());
	fflush(stdout);
	CALL(system("ulimit -a | grep '^locks'"));
}

static void slack(void) {
	static const unsigned long values[] = {1, 50000, 50001, 51234, 58192, 58193, 58194, 1000000, 0, 50002};
	for (int ids = 0; ids < 2; ids++) {
		for (int i = 0; i < 10; i++) {
			CALL(prctl(PR_SET_TIMERSLACK, values[i]));
			CALL(prctl(PR_GET_TIMERSLACK));
			fflush(stdout);
			pid_t child = must(fork());
			if (child == 0) {
				CALL(prctl(PR_GET_TIMERSLACK));
				CALL(prctl(PR_SET_TIMERSLACK, 7));
				CALL(prctl(PR_GET_TIMERSLACK));
				CALL(getuid());
				fflush(stdout);
				_exit(0);
			}
			must(waitpid(child, NULL, 0));
		}
		must(setuid(1));
	}
	CALL(getuid());
}

int main(void) {
	must(setgroups(0, NULL));
	in_child("ids", ids);
	in_child("groups", groups);
	in_child("capabilities", capabilities);
	in_child("limits", limits);
	in_child("slack", slack);
	return 0;
}
