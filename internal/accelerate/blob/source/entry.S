// How the program comes into the code, and how the code makes a call in its place.
#include "stack.h"

// restore_flags sets the flags, except for the direction, as they are in eax. It changes ecx and eax.
// popfq would be shorter. But when a debugger steps over that, and leaves some time later, the kernel
// takes the trap flag for the program's own, and the program gets SIGTRAP.
	.macro restore_flags
	mov %eax, %ecx
	shr $11, %ecx // overflow
	and $1, %ecx
	mov %al, %ah
	mov %cl, %al
	add $0x7f, %al
	sahf
	.endm

// call_answer calls answer for the call whose number is in eax, with the program's registers as its
// arguments, and then restores these. The instruction sets rdx to the lowest address of the stack, or
// to 0.
	.macro call_answer set_stack
	push %rbx
	push %r9
	push %r8
	push %r10
	push %rdx
	push %rsi
	push %rdi
	mov %rsp, %rbx
	mov %eax, %edi
	mov %rsp, %rsi
	\set_stack
	and $-16, %rsp
	cld
	call answer
	mov %rbx, %rsp
	pop %rdi
	pop %rsi
	pop %rdx
	pop %r10
	pop %r8
	pop %r9
	pop %rbx
	.endm

// struct header of code.h.
	.section .header,"ax"
	.globl header
	.hidden header
header:
	.quad 0x7373656c64697562
	.long image_end - header
	.long accelerate_entry - header
	.long accelerate_common - header
	.long accelerate_common_go - header
	.long accelerate_after_slow - header
	.long slots - header, image_end - header
	.byte 0 // off
plain:
	.byte 0, 0, 0
	.balign 8
answered:
	.fill 8, 8, 0
	.balign 64

// The bootstrap (package accelerate, bootstrap.go) has mapped us, and blocked all signals.
// r8 is the descriptor, r9 the address of the bootstrap. The stack has, from the top: the
// signal mask, the registers r9, r8, r10, rdx, rsi, rdi, rax and the flags, and the
// address at which the program goes on.
accelerate_entry:
	mov %r9, %rdx
	mov $3, %eax // close
	mov %r8d, %edi
	syscall
	lea header(%rip), %rsi
	mov $0x73756263, %edi // PrctlMapped(header, bootstrap)
	mov $157, %eax // prctl
	syscall
	mov $14, %eax // rt_sigprocmask(SIG_SETMASK, mask, NULL, 8)
	mov $2, %edi
	mov %rsp, %rsi
	xor %edx, %edx
	mov $8, %r10d
	syscall
	pop %rax
	pop %r9
	pop %r8
	pop %r10
	pop %rdx
	pop %rsi
	pop %rdi
	pop %r11
	pop %rax
	restore_flags
	mov %r11, %rax
	pop %rcx
	lea 128(%rsp), %rsp
	jmp *%rcx

// A slot jumps here in place of a syscall instruction: the number of the call is in eax, and
// the address of the instruction after the call in rcx.
accelerate_common:
	mov %rcx, %r11
	movzbl plain(%rip), %ecx // the flags stay as they are
	jrcxz 1f
	lea -2(%r11), %rcx // the size of a syscall instruction
	jmp *%rcx
1:	mov %r11, %rcx
	lea -128(%rsp), %rsp
	pushfq
	push %rcx
	call_answer "xor %edx, %edx"
	mov %rax, %r11
	mov 8(%rsp), %eax
	bt $10, %eax // direction
	jnc 1f
	std
1:	restore_flags
	mov %r11, %rax
	pop %rcx
	pop %r11
	lea 128(%rsp), %rsp
	jmp *%rcx

// The slot of Go's call site, through which all calls of package syscall go, jumps here in place of
// the syscall instruction: the number of the call is in eax, and the address of the instruction after
// the call in rcx. Calls that answer cannot answer are made by the syscall instruction: they may need
// the program's stack and return address, as clone does.
//
// r14 is the goroutine, except in a thread that Go does not know, where it is 0. A goroutine begins
// with the lowest address of its stack, which may be small. There is no red zone, and nobody needs
// the flags.
accelerate_common_go:
	mov %eax, %r11d
	cmp $64 * 8, %r11d
	jae 1f
	bt %r11, answered(%rip)
	jnc 1f
	cmpb $0, plain(%rip)
	jne 1f
	test %r14, %r14
	jz 1f
	mov (%r14), %r11
	add $STACK, %r11
	cmp %r11, %rsp
	jb 1f
	push %rcx
	call_answer "mov (%r14), %rdx"
	pop %rcx
	jmp *%rcx
1:	lea -2(%rcx), %rcx // the size of a syscall instruction
	jmp *%rcx

	.text

// slow(nr, arguments) makes a call as the program would have made it. The filter notifies it.
	.globl slow
	.hidden slow
slow:
	mov %rdi, %rax
	mov %rsi, %rcx
	mov (%rcx), %rdi
	mov 8(%rcx), %rsi
	mov 16(%rcx), %rdx
	mov 24(%rcx), %r10
	mov 32(%rcx), %r8
	mov 40(%rcx), %r9
	syscall
accelerate_after_slow:
	ret
