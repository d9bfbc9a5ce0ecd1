// Usage: tagged. Makes calls with and without the tag by which the filter knows the code in
// accelerated processes, and prints which of them the supervisor has answered. It does so for a
// file whose owner is 42: the kernel itself shows 0.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum tag { NONE, RIGHT, NEAR, UPPER, LOWER, CONSTANT };
static const char *const names[] = {"none", "right", "near", "upper half", "lower half", "constant"};

// call makes a call with a tag in its sixth argument.
static __attribute__((noinline, noclone)) long call(enum tag tag, long nr, long a, long b, long c, long d) {
	register long r10 __asm__("r10") = d, r8 __asm__("r8") = 0;
	register uint64_t r9 __asm__("r9");
	uint64_t here;
	long r;
	__asm__ volatile("lea after_call(%%rip), %0" : "=r"(here));
	r9 = tag == RIGHT ? here : tag == NEAR ? here - 2 : tag == UPPER ? here & ~0xffffffffUL : tag == LOWER ? here & 0xffffffff : tag == CONSTANT ? 0x5b1d1e55acce1e80UL : 0;
	if (tag == UPPER)
		r9 |= ~here & 0xffffffff;
	if (tag == LOWER)
		r9 |= ~here & ~0xffffffffUL;
	__asm__ volatile("syscall\nafter_call:" : "=a"(r) : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
	return r;
}

int main(void) {
	struct stat st;
	int fd = open("file", O_CREAT | O_RDWR, 0644);
	if (fd < 0 || fchown(fd, 42, 42) != 0) {
		perror("preparation");
		return 1;
	}
	for (enum tag tag = NONE; tag <= CONSTANT; tag++) {
		call(tag, SYS_newfstatat, AT_FDCWD, (long)"file", (long)&st, 0);
		printf("newfstatat, %s: %d", names[tag], st.st_uid);
		call(tag, SYS_stat, (long)"file", (long)&st, 0, 0);
		printf("; stat: %d", st.st_uid);
		call(tag, SYS_fstat, fd, (long)&st, 0, 0);
		printf("; fstat: %d", st.st_uid);
		char value[20];
		long n = call(tag, SYS_fgetxattr, fd, (long)"user.rootlesscontainers", (long)value, sizeof(value));
		printf("; record: %s\n", n >= 0 ? "visible" : strerrorname_np(-n));
	}
	// The tag opens nothing else.
	call(RIGHT, SYS_fchown, fd, 43, 43, 0);
	fstat(fd, &st);
	printf("fchown: %d\n", st.st_uid);
	printf("fsetxattr: %s\n", strerrorname_np(-call(RIGHT, SYS_fsetxattr, fd, (long)"user.rootlesscontainers", (long)"", 0)));
	fstat(fd, &st);
	printf("afterwards: %d\n", st.st_uid);
	uint64_t limit[2] = {5, ~0UL};
	call(RIGHT, SYS_prlimit64, 0, 10 /* RLIMIT_LOCKS */, (long)limit, 0);
	fstat(fd, &st);
	printf("after prlimit: %d\n", st.st_uid);
	int created = call(RIGHT, SYS_openat, AT_FDCWD, (long)"none", O_RDONLY, 0);
	printf("openat: %s\n", created < 0 ? strerrorname_np(-created) : "opened");
	return 0;
}
