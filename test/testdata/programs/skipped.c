// A tracer skips system calls: it sets their numbers to -1, and their results.
#include "call.h"
#include <elf.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

// number returns the number of the system call at which the process has stopped.
static long number(pid_t pid) {
#if defined(__aarch64__)
	int nr;
	struct iovec v = {&nr, sizeof nr};
	must(ptrace(PTRACE_GETREGSET, pid, NT_ARM_SYSTEM_CALL, &v));
	return nr;
#else
	struct user_regs_struct r;
	must(ptrace(PTRACE_GETREGS, pid, 0, &r));
#if defined(__x86_64__)
	return r.orig_rax;
#else
	return r.orig_eax;
#endif
#endif
}

static void skip(pid_t pid, long result) {
	struct user_regs_struct r;
#if defined(__aarch64__)
	int nr = -1;
	struct iovec v = {&nr, sizeof nr}, all = {&r, sizeof r};
	must(ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &all));
	r.regs[0] = result;
	must(ptrace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &all));
	must(ptrace(PTRACE_SETREGSET, pid, NT_ARM_SYSTEM_CALL, &v));
#else
	must(ptrace(PTRACE_GETREGS, pid, 0, &r));
#if defined(__x86_64__)
	r.orig_rax = -1;
	r.rax = result;
#else
	r.orig_eax = -1;
	r.eax = result;
#endif
	must(ptrace(PTRACE_SETREGS, pid, 0, &r));
#endif
}

// skipped makes a call in a traced process.
static void skipped(const char *name, long nr, long result) {
	int status;
	fflush(stdout);
	pid_t pid = must(fork());
	if (pid == 0) {
		must(ptrace(PTRACE_TRACEME, 0, 0, 0));
		must(raise(SIGSTOP));
		errno = 0;
		long got = syscall(nr, "file", 7, 8);
		printf("%s: %ld %s\n", name, got, errno ? strerrorname_np(errno) : "");
		show("file");
		fflush(stdout);
		_exit(0);
	}
	must(waitpid(pid, &status, 0));
	do {
		must(ptrace(PTRACE_SYSCALL, pid, 0, 0));
		must(waitpid(pid, &status, 0));
	} while (number(pid) != nr);
	skip(pid, result);
	must(ptrace(PTRACE_DETACH, pid, 0, 0));
	reap(pid);
}

int main(void) {
	make_file("file", 0644);
	skipped("getppid", SYS_getppid, 42);
	skipped("getppid, error", SYS_getppid, -EDOM);
	skipped("getresuid", SYS_getresuid, 42);
#ifdef SYS_chown
	skipped("chown", SYS_chown, 42);
	skipped("chown, error", SYS_chown, -EDOM);
#endif
	CALL(syscall(-1));
	CALL(syscall(-2));
	show("file");
	return 0;
}
