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

// fast_getxattrat is fast for getxattrat(2) of the record, with an empty buffer. The call has six
// arguments, so its tag is in the upper halves of dirfd and flags.
static inline __attribute__((always_inline)) long fast_getxattrat(u32 dirfd, u64 path, u32 flags) {
	struct xattr_args args = {0, 0, 0};
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

enum { EPERM = 1, ENXIO = 6, EACCES = 13, ENOSYS = 38, ENODATA = 61 };
enum { S_IFMT = 0170000, S_IFREG = 0100000, S_IFDIR = 0040000, S_IFCHR = 0020000, S_IFIFO = 0010000, S_IFBLK = 0060000 };
enum { AT_FDCWD = -100, AT_SYMLINK_NOFOLLOW = 0x100, AT_EMPTY_PATH = 0x1000 };
enum { O_CLOEXEC = 02000000, O_PATH = 010000000 };
enum { STATX_TYPE = 1, RLIMIT_LOCKS = 10, F_SETFD = 2 };
#define O_WRITES (03 | 0100 | 01000 | 020000000) // O_ACCMODE, O_CREAT, O_TRUNC, __O_TMPFILE
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
static inline int unrecorded(long r, u32 mode) {
	return r == -ENODATA && ((mode & S_IFMT) == S_IFREG || (mode & S_IFMT) == S_IFDIR);
}

// read_record reads the record of the object that a call of the stat family has just found.
static inline long read_record(int dirfd, u64 path, u32 flags) {
	if (dirfd != AT_FDCWD || flags & AT_EMPTY_PATH)
		return fast_getxattrat(dirfd, path, flags & (AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH));
	if (flags & AT_SYMLINK_NOFOLLOW)
		return fast(__NR_lgetxattr, path, (u64)record, 0, 0, 0);
	return fast(__NR_getxattr, path, (u64)record, 0, 0, 0);
}

// The functions below return this if the call has to be notified. It is no result of a system call.
#define NOTIFY (1L << 62)

static inline long stat_at(int dirfd, u64 path, u64 st, u32 flags) {
	long r = fast(__NR_newfstatat, dirfd, path, st, flags, 0);
	if (r)
		return denied(r) ? NOTIFY : r;
	return unrecorded(read_record(dirfd, path, flags), ((struct stat *)st)->mode) ? 0 : NOTIFY;
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
	return known & STATX_TYPE && unrecorded(read_record(dirfd, path, flags), mode) ? 0 : NOTIFY;
}

// open_at answers calls that open for reading. The supervisor opens placeholders of devices, which
// are empty regular files with a record, or sockets; the multiplexer of pseudoterminals; and files
// of procfs that show user ids, which are empty and have no attributes.
static inline long open_at(int dirfd, u64 path, u32 flags, u64 mode) {
	if (flags & O_PATH)
		flags &= ~O_WRITES; // which the kernel ignores then, but not the filter
	else if (flags & O_WRITES)
		return NOTIFY;
	// If we close the descriptor again, no child may have inherited it that has executed a
	// program meanwhile.
	long fd = fast(__NR_openat, dirfd, path, flags & O_PATH ? flags : flags | O_CLOEXEC, mode, 0);
	if (fd < 0)
		return denied(fd) ? NOTIFY : fd;
	if (flags & O_PATH)
		return fd;
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
	case __NR_access:
	case __NR_faccessat:
	case __NR_faccessat2:
	case __NR_readlink:
	case __NR_readlinkat:
	case __NR_chdir:
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
