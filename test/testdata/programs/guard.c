// Calls that need a capability, made by a caller without any.
#include "call.h"
#include "ids.h"
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/resource.h>

#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif
#define BAD ((void *)1)
#define IOPRIO(class, level) ((class) << 13 | (level))

// struct sched_attr of <linux/sched/types.h>, which conflicts with <sched.h>.
struct attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

static pid_t other, own;

static void names(void) {
	CALL(sethostname("x", 1));
	CALL(sethostname("x", -1));
	CALL(sethostname(BAD, 1));
	CALL(setdomainname("x", 1));
	CALL(setdomainname(BAD, 100));
}

static void roots(void) {
	CALL(chroot("dir"));
	CALL(chroot("/"));
	CALL(chroot("file"));
	CALL(chroot("none"));
	CALL(chroot(""));
	CALL(chroot(BAD));
	CALL(chroot("loop"));
	CALL(syscall(SYS_pivot_root, "dir", "dir"));
	CALL(syscall(SYS_pivot_root, "none", "none"));
	CALL(syscall(SYS_pivot_root, BAD, BAD));
}

static void mounts(void) {
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
	CALL(mount("none", "dir", "tmpfs", 0, NULL));
	CALL(mount("none", "missing", "tmpfs", 0, NULL));
	CALL(mount("none", BAD, "tmpfs", 0, NULL));
	CALL(mount(BAD, "dir", "tmpfs", 0, NULL));
	CALL(mount("none", "dir", BAD, 0, NULL));
	CALL(mount("none", "dir", "tmpfs", 0, BAD));
	CALL(mount("dir", "dir", NULL, MS_BIND, NULL));
	CALL(mount("dir", "dir", NULL, MS_REMOUNT | MS_BIND, NULL));
	CALL(mount("none", "file", "no such type", 0, NULL));
	CALL(umount("dir"));
	CALL(umount("missing"));
	CALL(umount2("dir", MNT_DETACH));
	CALL(umount2("dir", 0x1000));
	CALL(umount2("loop", UMOUNT_NOFOLLOW));
	CALL(umount2("loop", 0));
	CALL(umount2(BAD, 0));
	CALL(syscall(SYS_move_mount, AT_FDCWD, "dir", AT_FDCWD, "dir", 0));
	CALL(syscall(SYS_move_mount, AT_FDCWD, "none", AT_FDCWD, "none", -1));
	CALL(syscall(SYS_open_tree, AT_FDCWD, "dir", OPEN_TREE_CLONE));
	CALL(syscall(SYS_open_tree, AT_FDCWD, "missing", OPEN_TREE_CLONE));
	CALL(syscall(SYS_open_tree, AT_FDCWD, "dir", OPEN_TREE_CLONE | 2));
	CALL(syscall(SYS_open_tree, AT_FDCWD, "dir", AT_RECURSIVE));
	CALL(close(syscall(SYS_open_tree, AT_FDCWD, "dir", 0)));
	CALL(syscall(SYS_fsopen, "tmpfs", 0));
	CALL(syscall(SYS_fsopen, "no such type", -1));
	CALL(syscall(SYS_fspick, AT_FDCWD, "dir", 0));
	CALL(syscall(SYS_fspick, AT_FDCWD, "missing", -1));
	CALL(syscall(SYS_fsmount, -1, 0, 0));
	CALL(syscall(SYS_mount_setattr, AT_FDCWD, "dir", 0, &attr, sizeof(attr)));
	CALL(syscall(SYS_mount_setattr, AT_FDCWD, "missing", 0, &attr, sizeof(attr)));
	CALL(syscall(SYS_mount_setattr, AT_FDCWD, "dir", 1, &attr, sizeof(attr)));
	CALL(syscall(SYS_mount_setattr, AT_FDCWD, "dir", 0, &attr, 1));
	CALL(syscall(SYS_mount_setattr, AT_FDCWD, "dir", 0, &attr, 100000));
	CALL(syscall(SYS_mount_setattr, AT_FDCWD, "dir", 0, BAD, sizeof(attr)));
}

static void namespaces(void) {
	int uts = must(open("/proc/self/ns/uts", O_RDONLY)), file = must(open("file", O_RDONLY));
	int pidfd = must(syscall(SYS_pidfd_open, getpid(), 0));
	struct { uint64_t flags, rest[7]; } args = {.flags = CLONE_NEWUTS}, both = {.flags = CLONE_NEWNS | CLONE_FS};
	CALL(unshare(CLONE_NEWNS));
	CALL(unshare(CLONE_NEWUTS));
	CALL(unshare(CLONE_NEWIPC));
	CALL(unshare(CLONE_NEWNET));
	CALL(unshare(CLONE_NEWPID));
	CALL(unshare(CLONE_NEWCGROUP));
	CALL(unshare(0x80)); // CLONE_NEWTIME
	CALL(unshare(CLONE_NEWUTS | CLONE_NEWNET));
	CALL(unshare(CLONE_NEWUTS | 1));
	CALL(unshare(CLONE_FS));
	CALL(syscall(SYS_clone, CLONE_NEWUTS | SIGCHLD, 0, 0, 0, 0));
	CALL(syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0));
	CALL(syscall(SYS_clone, CLONE_NEWNS | CLONE_FS | SIGCHLD, 0, 0, 0, 0));
	CALL(syscall(SYS_clone3, &args, sizeof(args)));
	CALL(syscall(SYS_clone3, &both, sizeof(both)));
	CALL(syscall(SYS_clone3, BAD, sizeof(args)));
	CALL(setns(uts, 0));
	CALL(setns(uts, CLONE_NEWUTS));
	CALL(setns(uts, CLONE_NEWNET));
	CALL(setns(file, 0));
	CALL(setns(-1, 0));
	CALL(setns(pidfd, CLONE_NEWUTS));
	CALL(setns(pidfd, CLONE_NEWUTS | CLONE_NEWNET));
	CALL(setns(pidfd, 0));
	CALL(setns(pidfd, 1));
}

static void schedule(pid_t pid) {
	struct sched_param param = {0}, fifo = {.sched_priority = 1};
	struct attributes attr = {.size = sizeof(attr)};
	cpu_set_t cpus;
	must(sched_getaffinity(0, sizeof(cpus), &cpus));
	CALL(setpriority(PRIO_PROCESS, pid, 5));
	CALL(setpriority(PRIO_PROCESS, pid, 1));
	CALL(setpriority(3, pid, 5));
	CALL(syscall(SYS_ioprio_set, 1, pid, IOPRIO(2, 7)));
	CALL(syscall(SYS_ioprio_set, 1, pid, IOPRIO(1, 0)));
	CALL(syscall(SYS_sched_setscheduler, pid, SCHED_BATCH, &param));
	CALL(syscall(SYS_sched_setscheduler, pid, SCHED_FIFO, &fifo));
	CALL(syscall(SYS_sched_setscheduler, pid, 100, &param));
	CALL(syscall(SYS_sched_setscheduler, pid, SCHED_BATCH, NULL));
	CALL(syscall(SYS_sched_setscheduler, pid, SCHED_BATCH, BAD));
	CALL(syscall(SYS_sched_setparam, pid, &param));
	CALL(syscall(SYS_sched_setattr, pid, &attr, 0));
	CALL(syscall(SYS_sched_setattr, pid, &attr, 1));
	CALL(syscall(SYS_sched_setattr, pid, BAD, 0));
	CALL(syscall(SYS_sched_setaffinity, pid, sizeof(cpus), &cpus));
	CALL(syscall(SYS_sched_setaffinity, pid, sizeof(cpus), BAD));
}

static void scheduling(void) {
	printf("of a process of another user\n");
	schedule(other);
	printf("of a process of one's own\n");
	schedule(own);
	printf("of oneself\n");
	schedule(0);
	printf("of nobody\n");
	schedule(0x7ffffff0);
	CALL(setpriority(PRIO_PGRP, own, 10));
	CALL(setpriority(PRIO_PGRP, other, 10));
	CALL(setpriority(PRIO_USER, 21000, 11));
	CALL(setpriority(PRIO_USER, 22000, 11));
	CALL(setpriority(PRIO_USER, 0, 12));
	CALL(setpriority(PRIO_USER, 23000, 12));
	CALL(syscall(SYS_ioprio_set, 3, 22000, IOPRIO(2, 6)));
	CALL(syscall(SYS_ioprio_set, 3, 21000, IOPRIO(2, 6)));
	errno = 0;
	printf("own %d, other %d\n", getpriority(PRIO_PROCESS, own), getpriority(PRIO_PROCESS, other));
}

// nested has all capabilities in its own user namespace.
static void nested(void) {
	CALL(unshare(CLONE_NEWUSER | CLONE_NEWUTS));
	CALL(sethostname("x", 1));
	CALL(unshare(CLONE_NEWNS));
	CALL(chroot("dir"));
}

static void nothing(void) {}

int main(void) {
	struct someone user = {21000, 21000, 21000}, another = {22000, 22000, 22000};
	struct child a, b;
	must(chmod(".", 0755));
	must(mkdir("dir", 0755));
	make_file("file", 0644);
	must(symlink("loop", "loop"));
	finish(start(user, -1, names));
	finish(start(user, -1, roots));
	finish(start(user, -1, mounts));
	finish(start(user, -1, namespaces));
	a = start(another, 0, nothing);
	b = start(user, 0, nothing);
	other = a.pid, own = b.pid;
	finish(start(user, -1, scheduling));
	finish(a);
	finish(b);
	finish(start(user, -1, nested));
	return 0;
}
