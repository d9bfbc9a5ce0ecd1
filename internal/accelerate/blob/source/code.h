// Code that runs in an accelerated process. It answers a system call if it can prove that the
// supervisor would let the kernel execute it; it makes every other call as the program would
// have made it, and that is notified.
//
// build.sh compiles this directory to ../code.amd64.bin, which the supervisor writes into a memfd.
// The process maps that memfd privately, readable and executable, at any address. There is no libc
// and no relocation, and nothing in it is written except by the supervisor (struct header, and the
// slots).
//
// Rules:
//   - No memory of the caller is read before the kernel has accepted it: a bad address must
//     give EFAULT.
//   - Registers except for rax, rcx and r11 keep their values, as with the instruction syscall.
//     rcx and r11 have the return address and the flags then. The flags are kept, too.
//   - The stack is used below the red zone only.
//   - No state: a signal handler may interrupt it at any instruction, make the same calls, or
//     never return.
#pragma once
#include "kernel.h"

// All addresses are relative: there is nobody who would relocate a table of them.
#pragma GCC visibility push(hidden)

// struct header is at offset 0. Package blob reads the offsets from it.
struct header {
	u64 magic;
	u32 size;              // of the mapping
	u32 entry;             // where the bootstrap jumps to: see accelerate_entry
	u32 common;            // where slots jump to: see accelerate_common
	u32 common_go;         // where slots of Go's call site jump to: see accelerate_common_go
	u32 after_slow;        // after the instruction that makes notified calls
	u32 slots, slots_end;  // room for slots
	// Not 0: make every call notified. While it is 0, the process has the container's initial
	// identity, which is root's and passes every check of permissions.
	volatile u8 off;
	// Not 0: the syscall instruction at each call site makes its calls.
	volatile u8 plain;
	u16 unused;
	// One bit for the number of each call that answer may answer. The supervisor sets them, from
	// its table of these calls.
	u64 answered[8];
};

extern struct header header;

// The registers of the arguments, as entry.S pushes them.
struct arguments {
	u64 rdi, rsi, rdx, r10, r8, r9;
};

// slow makes a call as the program would have made it: see entry.S.
long slow(long nr, const struct arguments *a);

// TAGGED makes a call whose tag is the address of the label 1. If a filter of the program's own forbids it
// (header.plain), the result is -ENOSYS instead: another thread may have installed that filter in the
// middle of an answer. It does so only when no thread can be between the two instructions: see package
// accelerate, threads.go.
#define TAGGED \
	"	cmpb $0, %[plain]\n" \
	"	jne 2f\n" \
	"	syscall\n" \
	"1:\n" \
	"	.subsection 1\n" \
	"2:	mov $-38, %%rax\n" \
	"	jmp 1b\n" \
	"	.subsection 0\n"

// fast makes a call that the filter allows, because r9 has the address of the next instruction:
// see Tagged in package syscalls.
static inline __attribute__((always_inline)) long fast(long nr, u64 a, u64 b, u64 c, u64 d, u64 e) {
	register u64 r10 __asm__("r10") = d, r8 __asm__("r8") = e;
	long r;
	__asm__ volatile("lea 1f(%%rip), %%r9\n" TAGGED
		: "=a"(r)
		: "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), [plain] "m"(header.plain)
		: "rcx", "r11", "r9", "memory", "cc");
	return r;
}

// Functions that answer a call return this if it has to be notified. It is no result of a system call.
#define NOTIFY (1L << 62)

// denied reports whether the supervisor may give another answer than the error r.
static inline int denied(long r) { return r == -EPERM || r == -EACCES || r == -ENXIO || r == -ENOSYS; }

// change makes a call that changes something. After an error for which the call has to be notified,
// nothing has changed.
static inline long change(long nr, u64 a, u64 b, u64 c, u64 d, u64 e) {
	long r = fast(nr, a, b, c, d, e);
	return denied(r) ? NOTIFY : r;
}

// ask makes a call whose answer is the kernel's, whatever it is.
static inline long ask(long nr, u64 a, u64 b, u64 c, u64 d, u64 e) {
	long r = fast(nr, a, b, c, d, e);
	return r == -ENOSYS ? NOTIFY : r;
}

static inline long stat_of(int dirfd, u64 path, struct stat *st, u32 flags) { return fast(__NR_newfstatat, dirfd, path, (u64)st, flags, 0); }

// readable reports whether the 8 bytes at an address of the caller can be read. The kernel copies
// them, and then finds that there is no such operation.
static inline int readable(u64 address) { return fast(__NR_rt_sigprocmask, -1, address, 0, 8, 0) == -EINVAL; }

// begins reports whether the name begins with prefix.
static inline int begins(const char *name, const char *prefix) {
	while (*prefix)
		if (*name++ != *prefix++)
			return 0;
	return 1;
}

#pragma GCC visibility pop
