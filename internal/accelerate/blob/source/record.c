#include "record.h"

static const char record[] = RECORD;

// fast_getxattrat is fast for getxattrat(2) of the record. The call has six arguments, so its tag is
// in the upper halves of dirfd and flags.
static inline __attribute__((always_inline)) long fast_getxattrat(u32 dirfd, u64 path, u32 flags, void *value, u32 size) {
	struct xattr_args args = {(u64)value, size, 0};
	register u64 r10 __asm__("r10") = (u64)record, r8 __asm__("r8") = (u64)&args, r9 __asm__("r9") = sizeof(args);
	u64 rdi = dirfd, rdx = flags;
	long r;
	__asm__ volatile("lea 1f(%%rip), %%rcx\n"
		"	mov %%rcx, %%r11\n"
		"	shl $32, %%rcx\n"
		"	or %%rcx, %%rdx\n"
		"	shr $32, %%r11\n"
		"	shl $32, %%r11\n"
		"	or %%r11, %%rdi\n"
		"	syscall\n"
		"1:"
		: "=a"(r), "+D"(rdi), "+d"(rdx)
		: "0"((long)__NR_getxattrat), "S"(path), "r"(r10), "r"(r8), "r"(r9)
		: "rcx", "r11", "memory", "cc");
	return r;
}

long read_record(int dirfd, u64 path, u32 flags, void *value, u32 size) {
	if (dirfd != AT_FDCWD || flags & AT_EMPTY_PATH)
		return fast_getxattrat(dirfd, path, flags & (AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH), value, size);
	if (flags & AT_SYMLINK_NOFOLLOW)
		return fast(__NR_lgetxattr, path, (u64)record, (u64)value, size, 0);
	return fast(__NR_getxattr, path, (u64)record, (u64)value, size, 0);
}

long read_record_fd(int fd, void *value, u32 size) { return fast(__NR_fgetxattr, fd, (u64)record, (u64)value, size, 0); }

// The owner is the fields 1 and 2, of the type varint: see package owner, codec.go.
int owner_only(const u8 *value, long n) {
	for (long i = 0; i < n; i++) {
		if (value[i] != 0x08 && value[i] != 0x10)
			return 0;
		do
			i++;
		while (i < n && value[i] & 0x80);
		if (i == n)
			return 0;
	}
	return 1;
}
