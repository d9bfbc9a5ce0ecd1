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
		"	or %%r11, %%rdi\n" TAGGED
		: "=a"(r), "+D"(rdi), "+d"(rdx)
		: "0"((long)__NR_getxattrat), "S"(path), "r"(r10), "r"(r8), "r"(r9), [plain] "m"(header.plain)
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

long write_record_fd(int fd, const void *value, u32 size) { return fast(__NR_fsetxattr, fd, (u64)record, (u64)value, size, XATTR_CREATE); }

// The owner is the fields 1 and 2, of the type varint: see package owner, codec.go.
int parse_owner(const u8 *value, long n, struct owner *o) {
	o->uid = o->gid = 0; // where a field is absent
	for (long i = 0; i < n;) {
		u8 field = value[i++];
		u64 id = 0;
		for (int shift = 0;; shift += 7) {
			if (i == n || shift > 28)
				return 0;
			id |= (u64)(value[i] & 0x7f) << shift;
			if (!(value[i++] & 0x80))
				break;
		}
		if (id != (u32)id)
			return 0;
		if (field == 0x08)
			o->uid = id;
		else if (field == 0x10)
			o->gid = id;
		else
			return 0;
	}
	return 1;
}

static u8 *put_id(u8 *to, u8 field, u32 id) {
	for (*to++ = field; id >= 0x80; id >>= 7)
		*to++ = id | 0x80;
	*to++ = id;
	return to;
}

u32 put_owner(u8 value[OWNER_SIZE], const struct owner *o) { return put_id(put_id(value, 0x08, o->uid), 0x10, o->gid) - value; }

int owned(long r, const u8 *value, u32 mode, struct owner *o) {
	o->uid = o->gid = NO_ID;
	return unrecorded(r, mode) || (r >= 0 && (is_regular(mode) || is_directory(mode)) && parse_owner(value, r, o));
}

int at_most_owned(int dirfd, u64 path, u32 flags, u32 mode) {
	u8 value[OWNER_SIZE];
	struct owner o;
	return owned(read_record(dirfd, path, flags, value, sizeof(value)), value, mode, &o);
}

int at_most_owned_fd(int fd, u32 mode) {
	u8 value[OWNER_SIZE];
	struct owner o;
	return owned(read_record_fd(fd, value, sizeof(value)), value, mode, &o);
}

long has_attributes(int dirfd, u64 path, u32 flags) {
	char name[sizeof(record)];
	u8 value[OWNER_SIZE];
	struct owner o;
	long r = fast(__NR_listxattrat, dirfd, path, flags, 0, 0);
	if (r != sizeof(name) || fast(__NR_listxattrat, dirfd, path, flags, (u64)name, sizeof(name)) != sizeof(name) || !begins(name, record))
		return r;
	r = read_record(dirfd, path, flags, value, sizeof(value));
	return r < 0 || !parse_owner(value, r, &o);
}
