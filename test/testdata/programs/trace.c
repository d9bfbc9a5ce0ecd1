// Permission to inspect and trace a process: ptrace(2).
#include "call.h"
#include "ids.h"
#include <linux/capability.h>
#include <linux/kcmp.h>
#include <linux/perf_event.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#define BAD ((void *)1)

static pid_t target;
static char memory[8] = "memory";

// detach stops tracing the target.
static void detach(void) {
	int status;
	must(waitpid(target, &status, __WALL));
	must(ptrace(PTRACE_DETACH, target, 0, 0));
}

static void trace(void) {
	struct iovec to = {memory, 8}, from = {memory, 8};
	int pidfd = must(syscall(SYS_pidfd_open, target, 0));
	if (CALL(ptrace(PTRACE_ATTACH, target, 0, 0)) == 0)
		detach();
	CALL(ptrace(PTRACE_SEIZE, target, 1, 0));
	CALL(ptrace(PTRACE_SEIZE, target, 0, -1));
	if (CALL(ptrace(PTRACE_SEIZE, target, 0, 0)) == 0) {
		must(ptrace(PTRACE_INTERRUPT, target, 0, 0));
		detach();
	}
	CALL(ptrace(PTRACE_PEEKDATA, target, memory, 0));
	CALL(syscall(SYS_process_vm_readv, target, &to, 1, &from, 1, 0));
	CALL(syscall(SYS_process_vm_readv, target, &to, 1, &from, 1, 1));
	CALL(syscall(SYS_process_vm_readv, target, BAD, 1, &from, 1, 0));
	CALL(syscall(SYS_process_vm_readv, target, &to, 1, BAD, 1, 0));
	CALL(syscall(SYS_process_vm_readv, target, &to, 0, &from, 1, 0));
	CALL(syscall(SYS_process_vm_readv, target, &to, 1, &from, 0, 0));
	CALL(syscall(SYS_process_vm_readv, target, &to, 2000, &from, 1, 0));
	CALL(syscall(SYS_process_vm_writev, target, &to, 1, &from, 1, 0));
	CALL(syscall(SYS_process_vm_writev, target, &to, 1, BAD, 1, 0));
	CALL(syscall(SYS_kcmp, getpid(), target, KCMP_FS, 0, 0) > 0);
	CALL(syscall(SYS_kcmp, target, target, KCMP_FS, 0, 0));
	CALL(syscall(SYS_kcmp, target, getpid(), 100, 0, 0));
	void *robust;
	size_t length;
	CALL(syscall(SYS_get_robust_list, target, &robust, &length));
	CALL(syscall(SYS_get_robust_list, target, BAD, &length));
	CALL(syscall(SYS_get_robust_list, 0, &robust, &length));
	CALL(syscall(SYS_move_pages, target, 0, NULL, NULL, NULL, 0));
	CALL(syscall(SYS_move_pages, target, 0, NULL, NULL, NULL, 1));
	CALL(syscall(SYS_move_pages, 0, 0, NULL, NULL, NULL, 0));
	unsigned long node = 1, *nodes = &node;
	CALL(syscall(SYS_migrate_pages, target, 8, nodes, nodes));
	CALL(syscall(SYS_migrate_pages, target, 8, BAD, nodes));
	CALL(syscall(SYS_migrate_pages, target, 8, nodes, BAD));
	CALL(syscall(SYS_migrate_pages, 0, 8, nodes, nodes));
	struct perf_event_attr event = {.type = PERF_TYPE_SOFTWARE, .size = sizeof(event), .config = PERF_COUNT_SW_TASK_CLOCK, .exclude_kernel = 1};
	CALL(syscall(SYS_perf_event_open, &event, target, -1, -1, 0) > 0);
	CALL(syscall(SYS_perf_event_open, &event, 0, -1, -1, PERF_FLAG_FD_CLOEXEC) > 0);
	CALL(syscall(SYS_perf_event_open, BAD, target, -1, -1, 0));
	CALL(syscall(SYS_perf_event_open, &event, 0x3fffff, -1, -1, 0));
	CALL(syscall(SYS_pidfd_getfd, pidfd, 1, 0) > 0);
	CALL(syscall(SYS_pidfd_getfd, pidfd, 1000, 0));
	CALL(syscall(SYS_pidfd_getfd, pidfd, 1, 1));
	CALL(syscall(SYS_pidfd_getfd, -1, 1, 0));
	CALL(syscall(SYS_pidfd_getfd, 1, 1, 0));
	close(pidfd);
}

// clones asks for processes with certain ids.
static void clones(void) {
	int ids[2] = {1, 1}, none[1] = {0};
	struct { uint64_t flags, pidfd, child, parent, signal, stack, size, tls, ids, count; } args = {.signal = SIGCHLD};
	args.ids = (uintptr_t)ids, args.count = 1;
	CALL(syscall(SYS_clone3, &args, sizeof(args)));
	args.count = 33;
	CALL(syscall(SYS_clone3, &args, sizeof(args)));
	args.count = 1, args.ids = (uintptr_t)none;
	CALL(syscall(SYS_clone3, &args, sizeof(args)));
	args.ids = (uintptr_t)BAD;
	CALL(syscall(SYS_clone3, &args, sizeof(args)));
	args.ids = 0;
	CALL(syscall(SYS_clone3, &args, sizeof(args)));
	args.ids = (uintptr_t)ids, args.flags = CLONE_NEWNS | CLONE_FS;
	CALL(syscall(SYS_clone3, &args, sizeof(args)));
}

static void nobody(void) {
	struct iovec to = {memory, 8}, from = {memory, 8};
	CALL(ptrace(PTRACE_ATTACH, 0x7ffffff0, 0, 0));
	CALL(ptrace(PTRACE_ATTACH, 0, 0, 0));
	CALL(ptrace(PTRACE_ATTACH, getpid(), 0, 0));
	CALL(syscall(SYS_process_vm_readv, 0x7ffffff0, &to, 1, &from, 1, 0));
	CALL(syscall(SYS_process_vm_readv, getpid(), &to, 1, &from, 1, 0));
	CALL(syscall(SYS_kcmp, getpid(), 0x7ffffff0, KCMP_FS, 0, 0));
	CALL(syscall(SYS_kcmp, 0, getpid(), KCMP_FS, 0, 0));
	CALL(syscall(SYS_get_robust_list, 0x7ffffff0, BAD, BAD));
	CALL(syscall(SYS_move_pages, 0x7ffffff0, 0, NULL, NULL, NULL, 0));
	CALL(syscall(SYS_migrate_pages, 0x7ffffff0, 0, NULL, NULL));
	if (geteuid() != 0) // root may, in a PID namespace of the container
		clones();
}

static const struct someone root = {0, 0, 0};

// dumpable makes the process dumpable again after a change of ids.
static int told[2];
static void wait_to_be_traced(void) { must(write(told[1], "", 1)); pause(); }
static void dumpable(void) { must(prctl(PR_SET_DUMPABLE, 1)); wait_to_be_traced(); }

static void (*run)(void) = dumpable;

static void between(struct someone tracer, struct someone of) {
	printf("%u,%u,%u of %u,%u,%u\n", tracer.real, tracer.effective, tracer.saved, of.real, of.effective, of.saved);
	struct child t = start(of, 0, run);
	char byte;
	target = t.pid;
	go_on(t);
	must(read(told[0], &byte, 1) - 1);
	finish(start(tracer, -1, trace));
	must(kill(t.pid, SIGKILL));
	must(waitpid(t.pid, NULL, 0));
	close(t.go);
}

// capabilities sets the capabilities of the caller, whose ids do not change.
static void capabilities(uint64_t permitted, uint64_t effective) {
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {{effective, permitted, 0}, {effective >> 32, permitted >> 32, 0}};
	must(syscall(SYS_capset, &header, data));
}

// with makes the caller user 21000 with these capabilities.
static uint64_t kept, used;
static void with(void (*f)(void)) {
	must(prctl(PR_SET_KEEPCAPS, 1));
	become((struct someone){21000, 21000, 21000});
	capabilities(kept, used);
	f();
}

static void with_tracing(void) { with(trace); }
static void with_dumpable(void) { with(dumpable); }

static void between_capabilities(uint64_t permitted, uint64_t effective, uint64_t of) {
	printf("%llx,%llx of %llx\n", (long long)permitted, (long long)effective, (long long)of);
	kept = used = of;
	struct child t = start(root, 0, with_dumpable);
	char byte;
	target = t.pid;
	go_on(t);
	must(read(told[0], &byte, 1) - 1);
	kept = permitted, used = effective;
	finish(start(root, -1, with_tracing));
	must(kill(t.pid, SIGKILL));
	must(waitpid(t.pid, NULL, 0));
	close(t.go);
}

int main(void) {
	struct someone user = {21000, 21000, 21000}, other = {22000, 22000, 22000};
	must(pipe(told));
	between(root, root);
	between(root, user);
	between(user, root);
	between(user, user);
	between(user, other);
	between(user, (struct someone){21000, 22000, 21000});
	between(user, (struct someone){21000, 21000, 22000});
	between((struct someone){21000, 22000, 22000}, user);
	between((struct someone){21000, 22000, 22000}, other);
	printf("not dumpable\n");
	run = wait_to_be_traced;
	between(user, user);
	between(root, user);
	run = dumpable;
	uint64_t raw = 1 << CAP_NET_RAW, ptrace = 1 << CAP_SYS_PTRACE;
	between_capabilities(0, 0, 0);
	between_capabilities(0, 0, raw);
	between_capabilities(raw, raw, 0);
	between_capabilities(raw, raw, raw);
	between_capabilities(raw, 0, raw);
	between_capabilities(ptrace, ptrace, raw);
	between_capabilities(ptrace, 0, raw);
	finish(start(root, -1, nobody));
	finish(start(user, -1, nobody));
	return 0;
}
