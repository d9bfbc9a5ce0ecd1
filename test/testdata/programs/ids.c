// Long sequences of calls that change ids, groups and capabilities, each in a child of
// root. The arguments are pseudorandom, and the same in each run.
#include "call.h"
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static uint32_t seed;

static uint32_t rnd(uint32_t n) {
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

// some_id returns an id, often one that the process has had before.
static uint32_t some_id(void) {
	static const uint32_t ids[] = {0, 0, 0, 1, 2, 42, 42, 1000, 65534, 65535, 65536, 4294967294u, -1, -1};
	return ids[rnd(sizeof(ids) / sizeof(*ids))];
}

static uint32_t some_uid(void) {
	uint32_t u[3];
	must(syscall(SYS_getresuid, &u[0], &u[1], &u[2]));
	return rnd(2) ? u[rnd(3)] : some_id();
}

static uint32_t some_gid(void) {
	uint32_t g[3];
	must(syscall(SYS_getresgid, &g[0], &g[1], &g[2]));
	return rnd(2) ? g[rnd(3)] : some_id();
}

static const uint32_t versions[] = {_LINUX_CAPABILITY_VERSION_1, _LINUX_CAPABILITY_VERSION_2, _LINUX_CAPABILITY_VERSION_3};

// Capabilities that a random sequence has lost would mostly never come back.
static uint32_t some_caps(uint32_t now) {
	uint32_t all[] = {now, -1, 0, now & ~(1u << rnd(32)), now | 1u << rnd(32), now & ~(1u << CAP_SETPCAP), now | 1u << CAP_SETUID};
	return all[rnd(rnd(8) ? 2 : 7)];
}

static long capset_some(void) {
	struct __user_cap_header_struct header = {versions[rnd(3)], rnd(8) ? 0 : getpid()};
	struct __user_cap_data_struct d[2] = {};
	must(syscall(SYS_capget, &header, d));
	for (int i = 0; i < 2; i++) {
		d[i].effective = some_caps(d[i].effective);
		d[i].permitted = some_caps(d[i].permitted);
		d[i].inheritable = some_caps(d[i].inheritable | (rnd(4) ? 0 : d[i].permitted));
	}
	printf("capset %x %x %x %x %x %x", d[0].effective, d[0].permitted, d[0].inheritable, d[1].effective, d[1].permitted, d[1].inheritable);
	return syscall(SYS_capset, &header, d);
}

static long setgroups_some(void) {
	uint32_t list[8];
	int n = rnd(9);
	printf("setgroups");
	for (int i = 0; i < n; i++)
		printf(" %u", list[i] = rnd(30) ? some_id() & 0xfffffffe : some_id());
	return syscall(SYS_setgroups, n, list);
}

static long prctl_some(void) {
	static const int ops[] = {PR_CAP_AMBIENT_RAISE, PR_CAP_AMBIENT_RAISE, PR_CAP_AMBIENT_LOWER, PR_CAP_AMBIENT_IS_SET, PR_CAP_AMBIENT_CLEAR_ALL, 0, 9};
	unsigned long arg = 0, cap = 0;
	switch (rnd(6)) {
	case 0:
		printf("PR_SET_KEEPCAPS %lu", arg = rnd(3));
		return prctl(PR_SET_KEEPCAPS, arg);
	case 1:
		arg = rnd(3) ? 0 : rnd(3) ? 1ul << rnd(8) : rnd(1 << 13);
		printf("PR_SET_SECUREBITS %lu", arg);
		return prctl(PR_SET_SECUREBITS, arg);
	case 2:
		printf("PR_CAPBSET_DROP %lu", arg = rnd(66));
		return prctl(PR_CAPBSET_DROP, arg);
	case 3:
		printf("PR_CAPBSET_READ %lu", arg = rnd(66));
		return prctl(PR_CAPBSET_READ, arg);
	default:
		arg = ops[rnd(7)];
		cap = arg == PR_CAP_AMBIENT_CLEAR_ALL && rnd(3) ? 0 : rnd(43);
		printf("PR_CAP_AMBIENT %lu %lu", arg, cap);
		return prctl(PR_CAP_AMBIENT, arg, cap, rnd(9) ? 0 : 1, 0);
	}
}

static long some_call(void) {
	uint32_t a, b, c;
	switch (rnd(12)) {
	case 0:
		printf("setuid %u", a = some_uid());
		return syscall(SYS_setuid, a);
	case 1:
		printf("setgid %u", a = some_gid());
		return syscall(SYS_setgid, a);
	case 2:
		a = some_uid(), b = some_uid();
		printf("setreuid %u %u", a, b);
		return syscall(SYS_setreuid, a, b);
	case 3:
		a = some_gid(), b = some_gid();
		printf("setregid %u %u", a, b);
		return syscall(SYS_setregid, a, b);
	case 4:
	case 5:
		a = some_uid(), b = some_uid(), c = some_uid();
		printf("setresuid %u %u %u", a, b, c);
		return syscall(SYS_setresuid, a, b, c);
	case 6:
		a = some_gid(), b = some_gid(), c = some_gid();
		printf("setresgid %u %u %u", a, b, c);
		return syscall(SYS_setresgid, a, b, c);
	case 7:
		printf("setfsuid %u", a = some_uid());
		return syscall(SYS_setfsuid, a);
	case 8:
		printf("setfsgid %u", a = some_gid());
		return syscall(SYS_setfsgid, a);
	case 9:
		return setgroups_some();
	case 10:
		return capset_some();
	default:
		return prctl_some();
	}
}

static void print_ids(void) {
	uint32_t u[3], g[3], list[16];
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2];
	must(syscall(SYS_getresuid, &u[0], &u[1], &u[2]));
	must(syscall(SYS_getresgid, &g[0], &g[1], &g[2]));
	must(syscall(SYS_capget, &header, d));
	if (u[0] != (uint32_t)syscall(SYS_getuid) || u[1] != (uint32_t)syscall(SYS_geteuid) ||
	    g[0] != (uint32_t)syscall(SYS_getgid) || g[1] != (uint32_t)syscall(SYS_getegid))
		printf(" getuid and others differ");
	printf(" uid %u %u %u %u gid %u %u %u %u groups", u[0], u[1], u[2], setfsuid(-1), g[0], g[1], g[2], setfsgid(-1));
	int n = must(syscall(SYS_getgroups, 16, list));
	for (int i = 0; i < n; i++)
		printf(" %u", list[i]);
	printf(" caps %x%08x %x%08x %x%08x", d[1].effective, d[0].effective, d[1].permitted, d[0].permitted, d[1].inheritable, d[0].inheritable);
	printf(" bits %x keep %d ambient ", prctl(PR_GET_SECUREBITS), prctl(PR_GET_KEEPCAPS));
	uint64_t bounding = 0, ambient = 0;
	for (uint64_t i = 0; i <= CAP_LAST_CAP; i++) {
		bounding |= (uint64_t)prctl(PR_CAPBSET_READ, i) << i;
		ambient |= (uint64_t)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, i, 0, 0) << i;
	}
	printf("%lx bounding %lx\n", ambient, bounding);
}

static void sequence(int calls) {
	for (int i = 0; i < calls; i++) {
		errno = 0;
		long result = some_call();
		if (result < 0 && result >= -4095)
			printf(" = %s", strerrorname_np(errno));
		else
			printf(" = %ld", result);
		print_ids();
	}
}

// settle gives root the same credentials on all machines. On some, such as in a container,
// root has groups or lacks capabilities.
static void settle(void) {
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2] = {{0xa80425fb, 0xa80425fb, 0}, {}};
	must(setgroups(0, NULL));
	for (int i = 0; i <= CAP_LAST_CAP; i++)
		if (i >= 32 || !(d[0].permitted >> i & 1))
			must(prctl(PR_CAPBSET_DROP, i));
	must(syscall(SYS_capset, &header, d));
}

int main(void) {
	settle();
	for (int i = 0; i < 150; i++) {
		fflush(stdout);
		pid_t child = must(fork());
		if (child == 0) {
			seed = 7919 * i + 1;
			printf("sequence %d\n", i);
			sequence(20);
			fflush(stdout);
			_exit(0);
		}
		int status;
		must(waitpid(child, &status, 0));
		if (status != 0)
			printf("child %d ended with %x\n", i, status);
	}
	return 0;
}
