// Code that runs in an accelerated process. It answers a system call if it can prove that the
// supervisor would let the kernel execute it; it makes every other call as the program would
// have made it, and that is notified.
//
// build.sh compiles this file to ../code.amd64.bin, which the supervisor writes into a memfd. The
// process maps that memfd privately, readable and executable, at any address. There is no libc
// and no relocation, and nothing in it is written except by the supervisor (struct header, and
// the slots).
//
// Rules:
//   - No memory of the caller is read before the kernel has accepted it: a bad address must
//     give EFAULT.
//   - Registers except for rax, rcx and r11 keep their values, as with the instruction syscall.
//     rcx and r11 have the return address and the flags then. The flags are kept, too.
//   - The stack is used below the red zone only.
//   - No state: a signal handler may interrupt it at any instruction, make the same calls, or
//     never return.
#include <asm/unistd.h>

#ifndef __NR_getxattrat // Linux 6.13
#define __NR_getxattrat 464
#define __NR_listxattrat 465
#endif
#ifndef __NR_fchmodat2 // Linux 6.6
#define __NR_fchmodat2 452
#endif

typedef unsigned long u64;
typedef unsigned int u32;
typedef unsigned short u16;
typedef unsigned char u8;

// struct header is at offset 0. Package blob reads the offsets from it.
struct header {
	u64 magic;
	u32 size;              // of the mapping
	u32 entry;             // where the bootstrap jumps to: see accelerate_entry
	u32 common;            // where slots jump to: see accelerate_common
	u32 after_slow;        // after the instruction that makes notified calls
	u32 slots, slots_end;  // room for slots
	volatile u32 off;      // not 0: make every call notified
};

extern struct header header __attribute__((visibility("hidden")));

// The header, the bootstrap's second half, and where slots arrive.
__asm__(".section .header,\"ax\"\n"
	"header:\n"
	"	.quad 0x7373656c64697562\n"
	"	.long image_end - header\n"
	"	.long accelerate_entry - header\n"
	"	.long accelerate_common - header\n"
	"	.long accelerate_after_slow - header\n"
	"	.long slots - header, image_end - header\n"
	"	.long 0\n"
	"	.balign 64\n"

	// The bootstrap (package accelerate, bootstrap.go) has mapped us, and blocked all signals.
	// r8 is the descriptor, r9 the address of the bootstrap. The stack has, from the top: the
	// signal mask, the registers r9, r8, r10, rdx, rsi, rdi, rax and the flags, and the
	// address at which the program goes on.
	"accelerate_entry:\n"
	"	mov %r9, %rdx\n"
	"	mov $3, %eax\n" // close
	"	mov %r8d, %edi\n"
	"	syscall\n"
	"	lea header(%rip), %rsi\n"
	"	mov $0x73756263, %edi\n" // PrctlMapped(header, bootstrap)
	"	mov $157, %eax\n"        // prctl
	"	syscall\n"
	"	mov $14, %eax\n" // rt_sigprocmask(SIG_SETMASK, mask, NULL, 8)
	"	mov $2, %edi\n"
	"	mov %rsp, %rsi\n"
	"	xor %edx, %edx\n"
	"	mov $8, %r10d\n"
	"	syscall\n"
	"	pop %rax\n"
	"	pop %r9\n"
	"	pop %r8\n"
	"	pop %r10\n"
	"	pop %rdx\n"
	"	pop %rsi\n"
	"	pop %rdi\n"
	"	pop %rax\n"
	"	popfq\n"
	"	pop %rcx\n"
	"	lea 128(%rsp), %rsp\n"
	"	jmp *%rcx\n"

	// A slot jumps here in place of a syscall instruction: the number of the call is in eax, and
	// the address of the instruction after the call in rcx.
	"accelerate_common:\n"
	"	lea -128(%rsp), %rsp\n"
	"	pushfq\n"
	"	push %rcx\n"
	"	push %rbx\n"
	"	push %r9\n"
	"	push %r8\n"
	"	push %r10\n"
	"	push %rdx\n"
	"	push %rsi\n"
	"	push %rdi\n"
	"	mov %rsp, %rbx\n"
	"	mov %eax, %edi\n"
	"	mov %rsp, %rsi\n"
	"	and $-16, %rsp\n"
	"	cld\n"
	"	call answer\n"
	"	mov %rbx, %rsp\n"
	"	pop %rdi\n"
	"	pop %rsi\n"
	"	pop %rdx\n"
	"	pop %r10\n"
	"	pop %r8\n"
	"	pop %r9\n"
	"	pop %rbx\n"
	"	pop %rcx\n"
	"	mov (%rsp), %r11\n"
	"	popfq\n"
	"	lea 128(%rsp), %rsp\n"
	"	jmp *%rcx\n"
	".text\n");

// The registers of the arguments, as accelerate_common pushes them.
struct arguments {
	u64 rdi, rsi, rdx, r10, r8, r9;
};

// slow makes a call as the program would have made it. The filter notifies it.
static __attribute__((noinline)) long slow(long nr, const struct arguments *a) {
	register u64 r10 __asm__("r10") = a->r10, r8 __asm__("r8") = a->r8, r9 __asm__("r9") = a->r9;
	long r;
	__asm__ volatile("syscall\naccelerate_after_slow:" : "=a"(r) : "0"(nr), "D"(a->rdi), "S"(a->rsi), "d"(a->rdx), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
	return r;
}

// fast makes a call that the filter allows, because r9 has the address of the next instruction:
// see Tagged in package syscalls.
static inline __attribute__((always_inline)) long fast(long nr, u64 a, u64 b, u64 c, u64 d, u64 e) {
	register u64 r10 __asm__("r10") = d, r8 __asm__("r8") = e;
	long r;
	__asm__ volatile("lea 1f(%%rip), %%r9\n	syscall\n1:" : "=a"(r) : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "r9", "memory", "cc");
	return r;
}

// struct xattr_args of <linux/xattr.h>.
struct xattr_args {
	u64 value;
	u32 size, flags;
};

static const char record[] = "user.rootlesscontainers";

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

enum { EPERM = 1, ENOENT = 2, ENXIO = 6, EACCES = 13, EINVAL = 22, ENOSYS = 38, ENODATA = 61, EOPNOTSUPP = 95 };
enum { S_IFMT = 0170000, S_IFREG = 0100000, S_IFDIR = 0040000, S_IFCHR = 0020000, S_IFIFO = 0010000, S_IFBLK = 0060000, S_ISGID = 02000 };
enum { AT_FDCWD = -100, AT_SYMLINK_NOFOLLOW = 0x100, AT_REMOVEDIR = 0x200, AT_EMPTY_PATH = 0x1000 };
enum { O_WRONLY = 01, O_CREAT = 0100, O_EXCL = 0200, O_TRUNC = 01000, O_DIRECTORY = 0200000, O_NOFOLLOW = 0400000, O_CLOEXEC = 02000000, O_PATH = 010000000, __O_TMPFILE = 020000000 };
enum { STATX_TYPE = 1, RLIMIT_LOCKS = 10, F_SETFD = 2, SEEK_SET = 0, SEEK_CUR = 1, RENAME_EXCHANGE = 2, DT_REG = 8, DT_SOCK = 12 };
#define O_WRITES (03 | O_CREAT | O_TRUNC | __O_TMPFILE) // 03 is O_ACCMODE
#define SET_ID_BITS 07000 // that the record can have in place of the mode: see owner.SetIDBits
#define RLIM_INFINITY (~0UL)
#define PTMX 0x502 // st_rdev of the multiplexer of pseudoterminals

// struct stat of <asm/stat.h>.
struct stat {
	u64 dev, ino, nlink;
	u32 mode, uid, gid, pad;
	u64 rdev;
	long size, blksize, blocks, times[6], unused[3];
};
_Static_assert(sizeof(struct stat) == 144, "struct stat of x86-64");

static inline int is_regular(u32 mode) { return (mode & S_IFMT) == S_IFREG; }
static inline int is_directory(u32 mode) { return (mode & S_IFMT) == S_IFDIR; }

// initial reports whether the process has the container's initial identity, which is root's and
// passes every check of permissions. Every other identity, and one in a nested user
// namespace, is in the soft RLIMIT_LOCKS: see type cookie in package identity. A program that has
// set that limit itself cannot be told from them.
static inline int initial(void) {
	u64 limit[2];
	return !header.off && fast(__NR_prlimit64, 0, RLIMIT_LOCKS, 0, (u64)limit, 0) == 0 && limit[0] == RLIM_INFINITY;
}

// denied reports whether the supervisor may give another answer than the error r.
static inline int denied(long r) { return r == -EPERM || r == -EACCES || r == -ENXIO || r == -ENOSYS; }

// unrecorded reports whether r, the result of reading the record of an inode with this mode, means
// that there is none. On all other inodes ENODATA means nothing: their records are elsewhere.
static inline int unrecorded(long r, u32 mode) { return r == -ENODATA && (is_regular(mode) || is_directory(mode)); }

// read_record reads the record of the object that a call has just found.
static inline long read_record(int dirfd, u64 path, u32 flags, void *value, u32 size) {
	if (dirfd != AT_FDCWD || flags & AT_EMPTY_PATH)
		return fast_getxattrat(dirfd, path, flags & (AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH), value, size);
	if (flags & AT_SYMLINK_NOFOLLOW)
		return fast(__NR_lgetxattr, path, (u64)record, (u64)value, size, 0);
	return fast(__NR_getxattr, path, (u64)record, (u64)value, size, 0);
}

static inline long stat_of(int dirfd, u64 path, struct stat *st, u32 flags) { return fast(__NR_newfstatat, dirfd, path, (u64)st, flags, 0); }

// has_attributes returns 0 if the object has no attribute: no ACL, and nothing that the supervisor
// stores in one. Its owner may be in the sidecar, if the file system has no attributes.
static inline long has_attributes(int dirfd, u64 path, u32 flags) { return fast(__NR_listxattrat, dirfd, path, flags, 0, 0); }

// The functions below return this if the call has to be notified. It is no result of a system call.
#define NOTIFY (1L << 62)

static inline long stat_at(int dirfd, u64 path, u64 st, u32 flags) {
	long r = fast(__NR_newfstatat, dirfd, path, st, flags, 0);
	if (r)
		return denied(r) ? NOTIFY : r;
	return unrecorded(read_record(dirfd, path, flags, 0, 0), ((struct stat *)st)->mode) ? 0 : NOTIFY;
}

static inline long stat_fd(int fd, u64 st) {
	long r = fast(__NR_fstat, fd, st, 0, 0, 0);
	if (r)
		return denied(r) ? NOTIFY : r;
	return unrecorded(fast(__NR_fgetxattr, fd, (u64)record, 0, 0, 0), ((struct stat *)st)->mode) ? 0 : NOTIFY;
}

static inline long stat_x(int dirfd, u64 path, u32 flags, u32 mask, u64 buffer) {
	long r = fast(__NR_statx, dirfd, path, flags, mask, buffer);
	if (r)
		return denied(r) ? NOTIFY : r;
	u32 known = *(u32 *)buffer, mode = *(u16 *)(buffer + 28);
	return known & STATX_TYPE && unrecorded(read_record(dirfd, path, flags, 0, 0), mode) ? 0 : NOTIFY;
}

// keep is what functions are that need room on the stack: it must not add up.
#define keep static __attribute__((noinline))

// open_to_read answers calls that open for reading. The supervisor opens placeholders of devices,
// which are empty regular files with a record, or sockets; the multiplexer of pseudoterminals; and
// files of procfs that show user ids, which are empty and have no attributes.
keep long open_to_read(int dirfd, u64 path, u32 flags) {
	// If we close the descriptor again, no child may have inherited it that has executed a
	// program meanwhile.
	long fd = fast(__NR_openat, dirfd, path, flags | O_CLOEXEC, 0, 0);
	if (fd < 0)
		return denied(fd) ? NOTIFY : fd;
	struct stat st;
	int plain = 0;
	if (fast(__NR_fstat, fd, (u64)&st, 0, 0, 0) == 0)
		switch (st.mode & S_IFMT) {
		case S_IFREG:
			plain = st.size != 0 || unrecorded(fast(__NR_fgetxattr, fd, (u64)record, 0, 0, 0), st.mode);
			break;
		case S_IFCHR:
			plain = st.rdev != PTMX;
			break;
		case S_IFDIR:
		case S_IFIFO: // must not be closed: the writer would notice
		case S_IFBLK:
			plain = 1;
		}
	if (!plain) {
		fast(__NR_close, fd, 0, 0, 0, 0);
		return NOTIFY;
	}
	if (!(flags & O_CLOEXEC))
		fast(__NR_fcntl, fd, F_SETFD, 0, 0, 0);
	return fd;
}

// owner_only reports whether a record of n bytes consists of the owner: fields 1 and 2.
static inline int owner_only(const u8 *value, long n) {
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

// plain_parent reports whether what is created at path belongs to root, and inherits from its
// directory only what the kernel knows: neither a recorded ACL nor a recorded group. The kernel
// has accepted the address of path.
keep int plain_parent(int dirfd, const char *path) {
	char dir[248];
	u32 n = 0, end = 0; // end is after the last slash
	for (; path[n]; n++) {
		if (n == sizeof(dir) - 1)
			return 0;
		dir[n] = path[n];
		if (path[n] == '/')
			end = n + 1;
	}
	if (end == n)
		return 0; // it is empty, or has a slash at its end
	if (end == 0)
		dir[end++] = '.';
	dir[end] = 0;
	u8 value[24];
	long r = read_record(dirfd, (u64)dir, 0, value, sizeof(value));
	if (r == -ENODATA)
		return 1;
	struct stat st;
	return r >= 0 && owner_only(value, r) && stat_of(dirfd, (u64)dir, &st, 0) == 0 && !(st.mode & S_ISGID);
}

// creates reports whether the kernel alone does the right thing if the process creates something at
// path, or finds that it exists.
static inline int creates(int dirfd, u64 path) {
	char c;
	// So the kernel has accepted the address, and what we read is not EFAULT.
	long r = fast(__NR_readlinkat, dirfd, path, (u64)&c, 1, 0);
	return (r == -ENOENT || r == -EINVAL || r >= 0) && plain_parent(dirfd, (const char *)path);
}

// may_write reports whether the kernel opens for writing what the supervisor would: see open_to_read.
// It moves set-id bits to the record and back.
static inline int may_write(int dirfd, u64 path, u32 follow, const struct stat *st) {
	switch (st->mode & S_IFMT) {
	case S_IFREG:
		return !(st->mode & SET_ID_BITS) && (st->size != 0 || unrecorded(read_record(dirfd, path, follow, 0, 0), st->mode));
	case S_IFCHR:
		return st->rdev != PTMX;
	case S_IFDIR:
	case S_IFIFO:
	case S_IFBLK:
		return 1;
	}
	return 0;
}

// open_to_write answers all other calls that open.
keep long open_to_write(int dirfd, u64 path, u32 flags, u64 mode) {
	struct stat st;
	int ok;
	if (flags & __O_TMPFILE || (flags & O_CREAT && flags & O_DIRECTORY))
		return NOTIFY;
	if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		ok = creates(dirfd, path);
	else if (flags & O_CREAT) {
		// Another file than a regular one may be protected: see protected_fifos in proc(5). And a
		// symbolic link may lead nowhere, and the file be created in another directory.
		long r = stat_of(dirfd, path, &st, AT_SYMLINK_NOFOLLOW);
		ok = r == 0 ? is_regular(st.mode) && may_write(dirfd, path, AT_SYMLINK_NOFOLLOW, &st) : r == -ENOENT && plain_parent(dirfd, (const char *)path);
	} else {
		u32 follow = flags & O_NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0;
		ok = stat_of(dirfd, path, &st, follow) == 0 && may_write(dirfd, path, follow, &st);
	}
	if (!ok)
		return NOTIFY;
	long fd = fast(__NR_openat, dirfd, path, flags, mode, 0);
	return denied(fd) ? NOTIFY : fd;
}

static inline long open_at(int dirfd, u64 path, u32 flags, u64 mode) {
	if (flags & O_PATH) {
		long fd = fast(__NR_openat, dirfd, path, flags & ~__O_TMPFILE, mode, 0); // which the kernel ignores then, but not the filter
		return denied(fd) ? NOTIFY : fd;
	}
	return flags & O_WRITES ? open_to_write(dirfd, path, flags, mode) : open_to_read(dirfd, path, flags);
}

// The functions below make a call that changes something. After an error that the supervisor may
// not give, nothing has changed.
static inline long change(long nr, u64 a, u64 b, u64 c, u64 d, u64 e) {
	long r = fast(nr, a, b, c, d, e);
	return denied(r) ? NOTIFY : r;
}

static inline long make_directory(int dirfd, u64 path, u64 mode) {
	return creates(dirfd, path) ? change(__NR_mkdirat, dirfd, path, mode, 0, 0) : NOTIFY;
}

static inline long make_link(u64 target, int dirfd, u64 path) {
	return creates(dirfd, path) ? change(__NR_symlinkat, target, dirfd, path, 0, 0) : NOTIFY;
}

// nothing_to_forget reports whether the sidecar has nothing about the object at path, which is about
// to lose a name: because it can have a record itself.
static inline int nothing_to_forget(int dirfd, u64 path, u32 mode) {
	long r = read_record(dirfd, path, AT_SYMLINK_NOFOLLOW, 0, 0);
	return r >= 0 || unrecorded(r, mode);
}

keep long remove_at(int dirfd, u64 path, u32 flags) {
	struct stat st = {.mode = S_IFDIR}; // rmdir(2) removes nothing else
	if (!(flags & AT_REMOVEDIR) && stat_of(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return NOTIFY;
	return nothing_to_forget(dirfd, path, st.mode) ? change(__NR_unlinkat, dirfd, path, flags, 0, 0) : NOTIFY;
}

keep long rename_at(int from, u64 old, int to, u64 new, u32 flags) {
	struct stat st;
	if (!(flags & RENAME_EXCHANGE)) {
		long r = stat_of(to, new, &st, AT_SYMLINK_NOFOLLOW);
		if (r != -ENOENT && !(r == 0 && nothing_to_forget(to, new, st.mode)))
			return NOTIFY;
	}
	return change(__NR_renameat2, from, old, to, new, flags);
}

// may_chmod reports whether set-id bits of a file with this mode are neither recorded nor would be.
static inline int may_chmod(u32 old, u32 new) { return is_directory(old) || (is_regular(old) && !((old | new) & SET_ID_BITS)); }

keep long chmod_at(int dirfd, u64 path, u32 mode) {
	struct stat st;
	return stat_of(dirfd, path, &st, 0) == 0 && may_chmod(st.mode, mode) ? change(__NR_fchmodat, dirfd, path, mode, 0, 0) : NOTIFY;
}

keep long chmod_fd(int fd, u32 mode) {
	struct stat st;
	return fast(__NR_fstat, fd, (u64)&st, 0, 0, 0) == 0 && may_chmod(st.mode, mode) ? change(__NR_fchmod, fd, mode, 0, 0, 0) : NOTIFY;
}

// chown_at answers calls that give root what belongs to root.
keep long chown_at(int dirfd, u64 path, u32 uid, u32 gid, u32 flags) {
	struct stat st;
	if (uid | gid || stat_of(dirfd, path, &st, flags) != 0 || st.mode & SET_ID_BITS || !unrecorded(read_record(dirfd, path, flags, 0, 0), st.mode))
		return NOTIFY;
	return change(__NR_fchownat, dirfd, path, 0, 0, flags);
}

static inline long chown_fd(int fd, u32 uid, u32 gid) {
	// With AT_EMPTY_PATH, fchownat(2) accepts descriptors that fchown(2) does not; read_record
	// refuses them.
	return chown_at(fd, (u64)"", uid, gid, AT_EMPTY_PATH);
}

keep long set_times(int dirfd, u64 path, u64 times, u32 flags) {
	struct stat st;
	// By descriptor, the supervisor answers for devices of the host.
	if (!path && (fast(__NR_fstat, dirfd, (u64)&st, 0, 0, 0) != 0 || !(is_regular(st.mode) || is_directory(st.mode))))
		return NOTIFY;
	return change(__NR_utimensat, dirfd, path, times, flags, 0);
}

// begins reports whether the name begins with prefix.
static inline int begins(const char *name, const char *prefix) {
	while (*prefix)
		if (*name++ != *prefix++)
			return 0;
	return 1;
}

static const char access_acl[] = "system.posix_acl_access";

// get_attribute answers getxattr(2), lgetxattr(2) and fgetxattr(2).
static inline long get_attribute(long nr, u64 object, u64 name, u64 value, u64 size) {
	long r = fast(nr, object, name, 0, 0, 0);
	if (r < 0 && r != -ENODATA && r != -EOPNOTSUPP)
		return NOTIFY;
	// Now the kernel has accepted the address of the name.
	const char *n = (const char *)name;
	if (begins(n, "user.")) {
		if (begins(n, record))
			return NOTIFY;
	} else if (begins(n, "security.") || begins(n, "system.posix_acl_")) {
		if (nr == __NR_fgetxattr ? has_attributes(object, (u64)"", AT_EMPTY_PATH) : has_attributes(AT_FDCWD, object, nr == __NR_lgetxattr ? AT_SYMLINK_NOFOLLOW : 0))
			return NOTIFY;
	} else
		return NOTIFY;
	return r < 0 ? r : fast(nr, object, name, value, size, 0);
}

// struct posix_acl_xattr_header and _entry of <linux/posix_acl_xattr.h>, for an ACL without named
// users and groups.
struct minimal_acl {
	u32 version;
	struct {
		u16 tag, permissions;
		u32 id;
	} entry[3];
};
_Static_assert(sizeof(struct minimal_acl) == 28, "three entries");

// set_acl answers a fsetxattr(2) that gives a file an access ACL which says what a mode can say, as
// cp -a does for each file. The file has no other ACL, so that is chmod(2).
keep long set_acl(int fd, u64 name, u64 value, u64 size, u64 flags) {
	struct stat st;
	if (size != sizeof(struct minimal_acl) || (u32)flags || fast(__NR_fgetxattr, fd, name, 0, 0, 0) != -ENODATA || !begins((const char *)name, access_acl) ||
	    ((const char *)name)[sizeof(access_acl) - 1] || fast(__NR_fstat, fd, (u64)&st, 0, 0, 0) != 0 || !may_chmod(st.mode, 0) ||
	    !unrecorded(fast(__NR_fgetxattr, fd, (u64)record, 0, 0, 0), st.mode))
		return NOTIFY;
	// The kernel looks at both ends of the value, and then finds that there is no such operation.
	if (fast(__NR_rt_sigprocmask, -1, value, 0, 8, 0) != -EINVAL || fast(__NR_rt_sigprocmask, -1, value + size - 8, 0, 8, 0) != -EINVAL)
		return NOTIFY;
	const struct minimal_acl *acl = (const struct minimal_acl *)value;
	u32 mode = st.mode & SET_ID_BITS;
	if (acl->version != 2)
		return NOTIFY;
	for (int i = 0; i < 3; i++) {
		u32 permissions = acl->entry[i].permissions;
		if (acl->entry[i].tag != (i == 0 ? 0x01 : i == 1 ? 0x04 : 0x20) || permissions & ~7) // ACL_USER_OBJ, ACL_GROUP_OBJ, ACL_OTHER
			return NOTIFY;
		mode |= permissions << (6 - 3 * i);
	}
	return change(__NR_fchmod, fd, mode, 0, 0, 0);
}

// struct linux_dirent64 of getdents(2).
struct dirent {
	u64 ino, off;
	u16 size;
	u8 type;
	char name[];
} __attribute__((packed));

// list_directory answers getdents64(2), unless there is what may be the placeholder of a device.
static inline long list_directory(int fd, u64 entries, u64 size) {
	long at = fast(__NR_lseek, fd, 0, SEEK_CUR, 0, 0);
	if (at < 0)
		return NOTIFY;
	long r = fast(__NR_getdents64, fd, entries, size, 0, 0);
	for (long i = 0; i < r;) {
		const struct dirent *d = (const struct dirent *)(entries + i);
		if (d->type == DT_SOCK || (d->type == DT_REG && begins(d->name, "null") && !d->name[4]))
			return fast(__NR_lseek, fd, at, SEEK_SET, 0, 0) == at ? NOTIFY : r;
		if (!d->size)
			break; // another thread has written there
		i += d->size;
	}
	return denied(r) ? NOTIFY : r;
}

__attribute__((noinline, used, visibility("hidden"))) long answer(long nr, const struct arguments *a) {
	long r = NOTIFY;
	if (!initial())
		return slow(nr, a);
	switch (nr) {
	case __NR_stat:
		r = stat_at(AT_FDCWD, a->rdi, a->rsi, 0);
		break;
	case __NR_lstat:
		r = stat_at(AT_FDCWD, a->rdi, a->rsi, AT_SYMLINK_NOFOLLOW);
		break;
	case __NR_newfstatat:
		r = stat_at(a->rdi, a->rsi, a->rdx, a->r10);
		break;
	case __NR_fstat:
		r = stat_fd(a->rdi, a->rsi);
		break;
	case __NR_statx:
		r = stat_x(a->rdi, a->rsi, a->rdx, a->r10, a->r8);
		break;
	case __NR_open:
		r = open_at(AT_FDCWD, a->rdi, a->rsi, a->rdx);
		break;
	case __NR_openat:
		r = open_at(a->rdi, a->rsi, a->rdx, a->r10);
		break;
	case __NR_creat:
		r = open_at(AT_FDCWD, a->rdi, O_CREAT | O_WRONLY | O_TRUNC, a->rsi);
		break;
	case __NR_mkdir:
		r = make_directory(AT_FDCWD, a->rdi, a->rsi);
		break;
	case __NR_mkdirat:
		r = make_directory(a->rdi, a->rsi, a->rdx);
		break;
	case __NR_symlink:
		r = make_link(a->rdi, AT_FDCWD, a->rsi);
		break;
	case __NR_symlinkat:
		r = make_link(a->rdi, a->rsi, a->rdx);
		break;
	case __NR_unlink:
		r = remove_at(AT_FDCWD, a->rdi, 0);
		break;
	case __NR_rmdir:
		r = remove_at(AT_FDCWD, a->rdi, AT_REMOVEDIR);
		break;
	case __NR_unlinkat:
		r = remove_at(a->rdi, a->rsi, a->rdx);
		break;
	case __NR_rename:
		r = rename_at(AT_FDCWD, a->rdi, AT_FDCWD, a->rsi, 0);
		break;
	case __NR_renameat:
		r = rename_at(a->rdi, a->rsi, a->rdx, a->r10, 0);
		break;
	case __NR_renameat2:
		r = rename_at(a->rdi, a->rsi, a->rdx, a->r10, a->r8);
		break;
	case __NR_link:
		r = change(__NR_linkat, AT_FDCWD, a->rdi, AT_FDCWD, a->rsi, 0);
		break;
	case __NR_linkat:
		r = change(__NR_linkat, a->rdi, a->rsi, a->rdx, a->r10, a->r8);
		break;
	case __NR_chmod:
		r = chmod_at(AT_FDCWD, a->rdi, a->rsi);
		break;
	case __NR_fchmod:
		r = chmod_fd(a->rdi, a->rsi);
		break;
	case __NR_fchmodat:
		r = chmod_at(a->rdi, a->rsi, a->rdx);
		break;
	case __NR_fchmodat2:
		if (!(u32)a->r10)
			r = chmod_at(a->rdi, a->rsi, a->rdx);
		break;
	case __NR_chown:
		r = chown_at(AT_FDCWD, a->rdi, a->rsi, a->rdx, 0);
		break;
	case __NR_lchown:
		r = chown_at(AT_FDCWD, a->rdi, a->rsi, a->rdx, AT_SYMLINK_NOFOLLOW);
		break;
	case __NR_fchown:
		r = chown_fd(a->rdi, a->rsi, a->rdx);
		break;
	case __NR_fchownat:
		r = chown_at(a->rdi, a->rsi, a->rdx, a->r10, a->r8);
		break;
	case __NR_utimensat:
		r = set_times(a->rdi, a->rsi, a->rdx, a->r10);
		break;
	case __NR_getxattr:
	case __NR_lgetxattr:
	case __NR_fgetxattr:
		r = get_attribute(nr, a->rdi, a->rsi, a->rdx, a->r10);
		break;
	case __NR_listxattr:
		r = has_attributes(AT_FDCWD, a->rdi, 0) ? NOTIFY : 0;
		break;
	case __NR_llistxattr:
		r = has_attributes(AT_FDCWD, a->rdi, AT_SYMLINK_NOFOLLOW) ? NOTIFY : 0;
		break;
	case __NR_flistxattr:
		r = has_attributes(a->rdi, (u64)"", AT_EMPTY_PATH) ? NOTIFY : 0;
		break;
	case __NR_fsetxattr:
		r = set_acl(a->rdi, a->rsi, a->rdx, a->r10, a->r8);
		break;
	case __NR_getdents64:
		r = list_directory(a->rdi, a->rsi, a->rdx);
		break;
	case __NR_access:
		r = fast(__NR_faccessat, AT_FDCWD, a->rdi, a->rsi, 0, 0);
		break;
	case __NR_readlink:
		r = fast(__NR_readlinkat, AT_FDCWD, a->rdi, a->rsi, a->rdx, 0);
		break;
	case __NR_faccessat:
	case __NR_faccessat2:
	case __NR_readlinkat:
	case __NR_chdir:
	case __NR_fchdir:
	case __NR_statfs:
	case __NR_getuid:
	case __NR_geteuid:
	case __NR_getgid:
	case __NR_getegid:
		// Only permissions matter, and the caller has all.
		r = fast(nr, a->rdi, a->rsi, a->rdx, a->r10, a->r8);
		break;
	}
	return r == NOTIFY ? slow(nr, a) : r;
}
