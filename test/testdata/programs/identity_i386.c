// The 32-bit system calls for ids and groups of 16 and of 32 bits, and for limits.
#include "call.h"
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static void print_ids(void) {
	uint16_t u16[3], g16[3], list16[8];
	uint32_t u[3], g[3], list[8];
	must(syscall(SYS_getresuid, &u16[0], &u16[1], &u16[2]));
	must(syscall(SYS_getresgid, &g16[0], &g16[1], &g16[2]));
	must(syscall(SYS_getresuid32, &u[0], &u[1], &u[2]));
	must(syscall(SYS_getresgid32, &g[0], &g[1], &g[2]));
	printf("  16: %u %u %u, %u %u %u; %ld %ld, %ld %ld\n", u16[0], u16[1], u16[2], g16[0], g16[1], g16[2],
	       syscall(SYS_getuid), syscall(SYS_geteuid), syscall(SYS_getgid), syscall(SYS_getegid));
	printf("  32: %u %u %u, %u %u %u; %ld %ld, %ld %ld\n", u[0], u[1], u[2], g[0], g[1], g[2],
	       syscall(SYS_getuid32), syscall(SYS_geteuid32), syscall(SYS_getgid32), syscall(SYS_getegid32));
	printf("  fs: %ld %ld, %ld %ld\n", syscall(SYS_setfsuid, -1), syscall(SYS_setfsgid, -1), syscall(SYS_setfsuid32, -1), syscall(SYS_setfsgid32, -1));
	printf("  groups:");
	int n = must(syscall(SYS_getgroups, 8, list16));
	must(syscall(SYS_getgroups32, 8, list));
	for (int i = 0; i < n; i++)
		printf(" %u/%u", list16[i], list[i]);
	printf("\n");
}

static void limits(void) {
	struct { uint32_t cur, max; } l = {7, 0xfffffff0};
	CALL(syscall(SYS_getrlimit, RLIMIT_LOCKS, &l));
	printf("  %x %x\n", l.cur, l.max);
	CALL(syscall(SYS_ugetrlimit, RLIMIT_LOCKS, &l));
	printf("  %x %x\n", l.cur, l.max);
	CALL(syscall(SYS_setrlimit, RLIMIT_LOCKS, &l));
	l.cur = 7, l.max = 0xfffffff0;
	CALL(syscall(SYS_setrlimit, RLIMIT_LOCKS, &l));
	CALL(syscall(SYS_getrlimit, RLIMIT_LOCKS, &l));
	printf("  %x %x\n", l.cur, l.max);
	CALL(syscall(SYS_ugetrlimit, RLIMIT_LOCKS, &l));
	printf("  %x %x\n", l.cur, l.max);
	l.cur = 8, l.max = 7;
	CALL(syscall(SYS_setrlimit, RLIMIT_LOCKS, &l));
	CALL(syscall(SYS_setrlimit, RLIMIT_LOCKS, NULL));
	CALL(syscall(SYS_getrlimit, RLIMIT_LOCKS, NULL));
	CALL(syscall(SYS_ugetrlimit, RLIMIT_LOCKS, 8));
	uint64_t wide[2];
	CALL(syscall(SYS_prlimit64, 0, RLIMIT_LOCKS, NULL, wide));
	printf("  %llx %llx\n", (unsigned long long)wide[0], (unsigned long long)wide[1]);
}

static void groups(void) {
	uint16_t list[] = {9, 1, 0xfffe, 3}, *end = (uint16_t *)end_of_page();
	uint32_t wide[] = {70000, 65535, 5};
	CALL(syscall(SYS_setgroups, 4, list));
	print_ids();
	list[2] = -1;
	CALL(syscall(SYS_setgroups, 4, list));
	CALL(syscall(SYS_setgroups32, 3, wide));
	print_ids();
	CALL(syscall(SYS_setgroups, 65537, list));
	end[-1] = 5;
	CALL(syscall(SYS_setgroups, 2, end - 1));
	CALL(syscall(SYS_setgroups, 1, end - 1));
	CALL(syscall(SYS_getgroups, 1, end - 1));
	CALL(syscall(SYS_getgroups, 1, NULL));
	CALL(syscall(SYS_getgroups, -1, NULL));
	CALL(syscall(SYS_getgroups, 0, NULL));
}

int main(void) {
	uint16_t id;
	must(setgroups(0, NULL));
	limits();
	groups();
	must(prctl(PR_SET_SECUREBITS, 4)); // SECBIT_NO_SETUID_FIXUP keeps capabilities
	CALL(syscall(SYS_setresuid, 1, 2, 3));
	CALL(syscall(SYS_setresgid, 4, 5, 6));
	print_ids();
	CALL(syscall(SYS_setresuid, -1, 65535, 0x10007));
	print_ids();
	CALL(syscall(SYS_setresuid32, 65535, 65536, 100000));
	CALL(syscall(SYS_setresgid32, -1, 70000, -1));
	print_ids();
	CALL(syscall(SYS_setreuid, 65535, 8));
	CALL(syscall(SYS_setregid, 9, 65535));
	print_ids();
	CALL(syscall(SYS_setfsuid, 65535));
	CALL(syscall(SYS_setfsuid32, 100000));
	CALL(syscall(SYS_setfsuid, 10));
	CALL(syscall(SYS_setfsgid, 11));
	CALL(syscall(SYS_setfsgid32, 65537));
	CALL(syscall(SYS_setfsgid, 12));
	print_ids();
	CALL(syscall(SYS_setuid, 65535));
	CALL(syscall(SYS_setgid, 0xffff));
	CALL(syscall(SYS_setuid32, 65535));
	CALL(syscall(SYS_setgid32, 65535));
	print_ids();
	CALL(syscall(SYS_getresuid, &id, 8, &id));
	CALL(syscall(SYS_getresgid32, NULL, &id, &id));
	CALL(syscall(SYS_setuid, 1));
	CALL(syscall(SYS_setgid, 0x20001));
	print_ids();
	return 0;
}
