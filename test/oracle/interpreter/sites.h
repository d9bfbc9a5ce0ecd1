// Call sites as a libc has them, which an accelerated process patches: see package accelerate.
// All calls of programs that the code in the process answers are made here.
#if defined(__x86_64__)

// SITES(X) applies X to the name of each call in AnsweredCalls of package syscalls.
#define SITES(X) \
	X(newfstatat) X(stat) X(lstat) X(fstat) X(statx) X(access) X(faccessat) X(faccessat2) X(readlink) X(readlinkat) \
	X(chdir) X(statfs) X(getuid) X(geteuid) X(getgid) X(getegid) X(open) X(openat)

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

// accelerate makes calls until every call site has been patched. Actors inherit them.
static void accelerate(void) {
#define CALL(name) \
	for (int i = 0; i < 8 && *site_##name != 0xe9; i++) \
		site6(__NR_##name, -1, 0, 0, 0, 0, 0); \
	site6(__NR_##name, -1, 0, 0, 0, 0, 0); \
	if (*site_##name != 0xe9) \
		fail("not accelerated: " #name, __NR_##name);
	SITES(CALL)
	SITES(CALL) // the first site ran the bootstrap
}

#else
#define site6 raw6

static void accelerate(void) { fail("there is no acceleration on this architecture", 0); }
#endif
