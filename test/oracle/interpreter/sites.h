// Call sites as a libc has them, which an accelerated process patches: see package accelerate.
// All calls of programs that the code in the process answers are made here.
#if defined(__x86_64__)

#ifndef __NR_fchmodat2 // Linux 6.6
#define __NR_fchmodat2 452
#endif

// SITES(X) applies X to the name of each call in AnsweredCalls of package syscalls.
#define SITES(X) \
	X(newfstatat) X(stat) X(lstat) X(fstat) X(statx) X(access) X(faccessat) X(faccessat2) X(readlink) X(readlinkat) \
	X(chdir) X(fchdir) X(statfs) X(getuid) X(geteuid) X(getgid) X(getegid) X(getdents64) X(open) X(openat) X(creat) \
	X(getxattr) X(lgetxattr) X(fgetxattr) X(listxattr) X(llistxattr) X(flistxattr) X(fsetxattr) \
	X(mkdir) X(mkdirat) X(symlink) X(symlinkat) X(link) X(linkat) X(unlink) X(unlinkat) X(rmdir) X(rename) X(renameat) X(renameat2) \
	X(chmod) X(fchmod) X(fchmodat) X(fchmodat2) X(chown) X(lchown) X(fchown) X(fchownat) X(utimensat)

#define DECLARE(name) extern unsigned char site_##name[];
SITES(DECLARE)

#define CASE(name) \
	case __NR_##name: \
		__asm__ volatile(".globl site_" #name "\nsite_" #name ":\n	mov %[nr], %%eax\n	syscall" : "=a"(ret) \
			: [nr] "i"(__NR_##name), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory"); \
		return ret;

// site6 is raw6 for calls of programs.
static __attribute__((noinline, noclone)) word site6(word nr, word a, word b, word c, word d, word e, word f) {
	register word r10 __asm__("r10") = d;
	register word r8 __asm__("r8") = e;
	register word r9 __asm__("r9") = f;
	word ret;
	switch (nr) {
		SITES(CASE)
	}
	return raw6(nr, a, b, c, d, e, f);
}

// in_vain makes a call that the code could answer, and that fails.
static word in_vain(word nr) { return site6(nr, -1, 0, 0, nr == __NR_fsetxattr ? 28 : 0, 0, 0); }

// accelerate makes calls until every call site has been patched. Actors inherit them.
static void accelerate(void) {
#define CALL(name) \
	for (int i = 0; i < 8 && *site_##name != 0xe9; i++) \
		in_vain(__NR_##name); \
	in_vain(__NR_##name); \
	if (*site_##name != 0xe9) \
		fail("not accelerated: " #name, __NR_##name);
	SITES(CALL)
	SITES(CALL) // the first site ran the bootstrap
}

#else
#define site6 raw6

static void accelerate(void) { fail("there is no acceleration on this architecture", 0); }
#endif
