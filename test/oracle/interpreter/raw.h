// System calls without a libc, which must not come between a program and the kernel.
// Threads have separate identities only with raw system calls.
#include <asm/unistd.h>
#include <stdint.h>

typedef long word;

static inline word raw6(word nr, word a, word b, word c, word d, word e, word f) {
#if defined(__x86_64__)
	register word r10 __asm__("r10") = d;
	register word r8 __asm__("r8") = e;
	register word r9 __asm__("r9") = f;
	word ret;
	__asm__ volatile("syscall" : "=a"(ret) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
	return ret;
#elif defined(__aarch64__)
	register word x8 __asm__("x8") = nr;
	register word x0 __asm__("x0") = a;
	register word x1 __asm__("x1") = b;
	register word x2 __asm__("x2") = c;
	register word x3 __asm__("x3") = d;
	register word x4 __asm__("x4") = e;
	register word x5 __asm__("x5") = f;
	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
	return x0;
#endif
}

#define PICK(_0, _1, _2, _3, _4, _5, _6, name, ...) name
#define RAW0(n) raw6(n, 0, 0, 0, 0, 0, 0)
#define RAW1(n, a) raw6(n, (word)(a), 0, 0, 0, 0, 0)
#define RAW2(n, a, b) raw6(n, (word)(a), (word)(b), 0, 0, 0, 0)
#define RAW3(n, a, b, c) raw6(n, (word)(a), (word)(b), (word)(c), 0, 0, 0)
#define RAW4(n, a, b, c, d) raw6(n, (word)(a), (word)(b), (word)(c), (word)(d), 0, 0)
#define RAW5(n, a, b, c, d, e) raw6(n, (word)(a), (word)(b), (word)(c), (word)(d), (word)(e), 0)
#define RAW6(n, a, b, c, d, e, f) raw6(n, (word)(a), (word)(b), (word)(c), (word)(d), (word)(e), (word)(f))
// raw(NAME, ARGUMENTS...) makes a system call. Errors are negative numbers.
#define raw(name, ...) PICK(__VA_ARGS__ __VA_OPT__(, ) RAW6, RAW6, RAW5, RAW4, RAW3, RAW2, RAW1, RAW0)(__NR_##name __VA_OPT__(, ) __VA_ARGS__)

// raw_thread starts a thread, on its own stack, that calls entry(argument).
word raw_thread(word flags, void *stack, void (*entry)(word), word argument);

#if defined(__x86_64__)
__asm__(".globl raw_thread\n"
	"raw_thread:\n"
	"	and $-16, %rsi\n"
	"	sub $16, %rsi\n"
	"	mov %rdx, 0(%rsi)\n"
	"	mov %rcx, 8(%rsi)\n"
	"	xor %edx, %edx\n"
	"	xor %r10d, %r10d\n"
	"	xor %r8d, %r8d\n"
	"	mov $56, %eax\n" // clone
	"	syscall\n"
	"	test %rax, %rax\n"
	"	jnz 1f\n"
	"	xor %ebp, %ebp\n"
	"	pop %rax\n"
	"	pop %rdi\n"
	"	call *%rax\n"
	"	hlt\n"
	"1:	ret\n"
	".globl _start\n"
	"_start:\n"
	"	mov %rsp, %rdi\n"
	"	and $-16, %rsp\n"
	"	call begin\n"
	"	hlt\n");
#elif defined(__aarch64__)
__asm__(".globl raw_thread\n"
	"raw_thread:\n"
	"	and x1, x1, #-16\n"
	"	stp x2, x3, [x1, #-16]!\n"
	"	mov x2, #0\n"
	"	mov x3, #0\n"
	"	mov x4, #0\n"
	"	mov x8, #220\n" // clone
	"	svc #0\n"
	"	cbnz x0, 1f\n"
	"	ldp x1, x0, [sp], #16\n"
	"	blr x1\n"
	"	brk #0\n"
	"1:	ret\n"
	".globl _start\n"
	"_start:\n"
	"	mov x0, sp\n"
	"	bl begin\n"
	"	brk #0\n");
#endif

// The compiler turns loops and assignments into calls of these functions.
void *memcpy(void *to, const void *from, unsigned long n) {
	for (unsigned long i = 0; i < n; i++)
		((volatile char *)to)[i] = ((const char *)from)[i];
	return to;
}

void *memset(void *to, int c, unsigned long n) {
	for (unsigned long i = 0; i < n; i++)
		((volatile char *)to)[i] = c;
	return to;
}

static unsigned long length(const char *s) {
	unsigned long n = 0;
	while (s[n])
		n++;
	return n;
}

static int equal(const char *a, const char *b) {
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

// fail ends the interpreter with a message on standard error.
static void __attribute__((noreturn)) fail(const char *what, word result) {
	char number[24], *p = number + sizeof(number);
	*--p = '\n';
	for (result = result < 0 ? -result : result; result || p == number + sizeof(number) - 1; result /= 10)
		*--p = '0' + result % 10;
	raw(write, 2, "interpreter: ", 13);
	raw(write, 2, what, length(what));
	raw(write, 2, " ", 1);
	raw(write, 2, p, number + sizeof(number) - p);
	raw(exit_group, 1);
	__builtin_unreachable();
}

static word must(const char *what, word result) {
	if (result < 0)
		fail(what, result);
	return result;
}
