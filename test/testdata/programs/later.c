// Calls and flags that kernels later than 6.0 have brought, and flags that no kernel has: EINVAL or
// ENOSYS where the kernel does not know them.
#include "call.h"
#include "ids.h"
#include <dirent.h>
#include <linux/fanotify.h>
#include <linux/openat2.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/xattr.h>

#define EMPTYPATH (1 << 26) // O_EMPTYPATH, Linux 7.3
#define REGULAR (1ull << 32) // OPENAT2_REGULAR, Linux 7.3
#define SYS_OPEN_TREE_ATTR 467

static const struct someone root = {0, 0, 0}, user = {21000, 21000, 21000};

// opened closes a descriptor, so that the program prints whether there was one.
static int opened(int fd) {
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static const char *const names[] = {"own", "secret", "private/file", "dir", "private", "fifo", "null", "zero", "socket", "link"};
enum { NAMES = sizeof(names) / sizeof(names[0]) };
static int paths[NAMES]; // their descriptors

static void empty_path(void) {
	static const int flags[] = {O_RDONLY, O_WRONLY, O_RDWR, O_PATH, O_DIRECTORY, O_CREAT | O_RDWR, O_TRUNC | O_WRONLY, O_NOFOLLOW, O_TMPFILE | O_RDWR, O_NOATIME};
	for (int i = 0; i < NAMES; i++)
		for (size_t f = 0; f < sizeof(flags) / sizeof(flags[0]); f++) {
			printf("%s %o ", names[i], flags[f]);
			CALL(opened(openat(paths[i], "", EMPTYPATH | O_NONBLOCK | flags[f], 0600)));
		}
	CALL(opened(openat(AT_FDCWD, "", EMPTYPATH)));
	CALL(opened(openat(-1, "", EMPTYPATH)));
	CALL(opened(syscall(SYS_openat, AT_FDCWD, NULL, EMPTYPATH)));
	CALL(opened(openat(99, "", EMPTYPATH | O_CREAT | O_RDWR, 0600)));
	CALL(opened(openat(AT_FDCWD, "", 0)));
	CALL(opened(open("", EMPTYPATH)));
	CALL(opened(open("secret", EMPTYPATH)));
	CALL(opened(open("own", EMPTYPATH)));
}

static int open_how(const char *name, uint64_t flags, uint64_t resolve) {
	struct open_how how = {.flags = flags, .resolve = resolve, .mode = flags & O_CREAT ? 0600 : 0};
	return opened(syscall(SYS_openat2, AT_FDCWD, name, &how, sizeof(how)));
}

static void regular(void) {
	for (int i = 0; i < NAMES; i++) {
		printf("%s ", names[i]);
		CALL(open_how(names[i], REGULAR | O_NONBLOCK, 0));
		CALL(open_how(names[i], REGULAR | O_RDWR | O_NONBLOCK, 0));
		CALL(open_how(names[i], REGULAR | O_CREAT | O_RDWR | O_NONBLOCK, 0));
		CALL(open_how(names[i], REGULAR | O_PATH, 0));
		CALL(open_how(names[i], REGULAR | O_DIRECTORY, 0));
		CALL(open_how(names[i], REGULAR | O_NOFOLLOW | O_NONBLOCK, 0));
	}
	CALL(open_how("none", REGULAR, 0));
	CALL(open_how("", EMPTYPATH, 0));
	CALL(open_how("new", REGULAR | O_CREAT | O_EXCL | O_RDWR, 0));
	CALL(open_how("sticky/new", REGULAR | O_CREAT | O_RDWR, 0));
	CALL(open_how("sticky/new", REGULAR | O_CREAT | O_RDWR, 0));
	CALL(open_how("sticky", REGULAR | O_TMPFILE | O_RDWR, 0));
	show("new");
	show("sticky/new");
	unlink("new");
	unlink("sticky/new");
}

// Each flag alone, also those that no kernel knows.
static void flags(void) {
	for (int bit = 0; bit < 64; bit++) {
		uint64_t flag = 1ull << bit;
		printf("%d ", bit);
		CALL(open_how("own", flag, 0));
		CALL(open_how("secret", flag | O_RDWR, 0));
		CALL(open_how("own", O_RDONLY, flag));
		CALL(open_how("secret", O_RDWR, flag));
		if (bit >= 32)
			continue;
		CALL(opened(syscall(SYS_open_tree, AT_FDCWD, "private/file", (uint32_t)flag)));
		CALL(opened(syscall(SYS_open_tree, AT_FDCWD, "own", (uint32_t)flag | 1)));
		CALL(opened(syscall(SYS_OPEN_TREE_ATTR, AT_FDCWD, "private/file", (uint32_t)flag, NULL, 0)));
		CALL(syscall(SYS_umount2, "private/file", (uint32_t)flag));
		CALL(syscall(SYS_move_mount, -1, "", -1, "", (uint32_t)flag));
		CALL(syscall(SYS_mount_setattr, -1, "", (uint32_t)flag, &flag, 32));
	}
	struct { struct open_how how; uint64_t more; } how = {.more = 1};
	CALL(syscall(SYS_openat2, AT_FDCWD, "secret", &how, sizeof(how)));
	how.more = 0;
	CALL(opened(syscall(SYS_openat2, AT_FDCWD, "own", &how, sizeof(how))));
	CALL(opened(syscall(SYS_openat2, AT_FDCWD, "secret", &how, sizeof(how))));
}

// Only for others than root, to whom nothing happens.
static void namespaces(void) {
	for (int bit = 0; bit < 64; bit++) {
		uint64_t flag = 1ull << bit;
		printf("%d ", bit);
		if (bit < 32 && (uint32_t)flag != CLONE_NEWUSER) {
			CALL(unshare(flag));
			CALL(setns(-1, flag));
		}
		struct { uint64_t flags, rest[10]; } args = {.flags = flag};
		if (bit >= 33) {
			pid_t child = syscall(SYS_clone3, &args, sizeof(args));
			if (child == 0)
				_exit(0);
			report("clone3", child < 0 ? child : waitpid(child, NULL, __WALL) != child);
		}
	}
}

static void trees(void) {
	CALL(opened(syscall(SYS_open_tree, AT_FDCWD, "private/file", 0)));
	CALL(opened(syscall(SYS_open_tree, AT_FDCWD, "private/none", 0)));
	CALL(opened(syscall(SYS_open_tree, AT_FDCWD, "private", 0)));
	CALL(opened(syscall(SYS_open_tree, AT_FDCWD, "secret", 0)));
	CALL(opened(syscall(SYS_open_tree, AT_FDCWD, "none", 0)));
	CALL(opened(syscall(SYS_open_tree, paths[2], "", AT_EMPTY_PATH)));
	CALL(opened(syscall(SYS_open_tree, paths[2], "", 0)));
	CALL(opened(syscall(SYS_open_tree, AT_FDCWD, "private/file", AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT)));
	CALL(opened(syscall(SYS_open_tree, AT_FDCWD, (void *)1, 0)));
	CALL(opened(syscall(SYS_OPEN_TREE_ATTR, AT_FDCWD, "private/file", 0, NULL, 0)));
	CALL(opened(syscall(SYS_OPEN_TREE_ATTR, AT_FDCWD, "own", 0, NULL, 0)));
}

// fanotify(7): "fanotify_init() [...] without the CAP_SYS_ADMIN capability" since Linux 5.13.
static void watches(void) {
	int queue = fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_FID, O_RDONLY);
	if (queue < 0) {
		report("fanotify_init", queue);
		return;
	}
	for (int i = 0; i < NAMES; i++) {
		printf("%s ", names[i]);
		CALL(fanotify_mark(queue, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, names[i]));
		CALL(fanotify_mark(queue, FAN_MARK_ADD | FAN_MARK_DONT_FOLLOW, FAN_OPEN, AT_FDCWD, names[i]));
		CALL(fanotify_mark(queue, FAN_MARK_ADD | FAN_MARK_ONLYDIR, FAN_OPEN, AT_FDCWD, names[i]));
		CALL(fanotify_mark(queue, FAN_MARK_REMOVE, FAN_OPEN, AT_FDCWD, names[i]));
		CALL(fanotify_mark(queue, FAN_MARK_ADD, FAN_OPEN, paths[i], NULL));
		CALL(fanotify_mark(queue, FAN_MARK_ADD, 0, AT_FDCWD, names[i]));
	}
	CALL(fanotify_mark(queue, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, "none"));
	CALL(fanotify_mark(queue, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, ""));
	CALL(fanotify_mark(queue, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, (char *)1));
	CALL(fanotify_mark(queue, FAN_MARK_FLUSH, 0, AT_FDCWD, "private/file"));
	CALL(fanotify_mark(-1, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, "secret"));
	CALL(fanotify_mark(paths[0], FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, "secret"));
	CALL(fanotify_mark(0, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, "secret"));
	for (int bit = 0; bit < 32; bit++)
		CALL(fanotify_mark(queue, 1u << bit, FAN_OPEN, AT_FDCWD, "secret"));
	close(queue);
}

static pid_t processes[2];

// processes_of calls what a pidfd can be asked of root's and of the user's process.
static void pidfds(void) {
	for (int i = 0; i < 2; i++) {
		struct { uint64_t mask, cgroup; uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid; int32_t status; } info = {.mask = 3};
		int fd = must(syscall(SYS_pidfd_open, processes[i], 0));
		printf("process %d\n", i);
		int known = CALL(ioctl(fd, _IOWR(0xff, 11, char[64]), &info)) == 0;
		if (known)
			printf("  %d %d %u:%u %u:%u %u:%u %u:%u\n", info.pid == (uint32_t)processes[i], info.tgid == (uint32_t)processes[i],
				info.ruid, info.rgid, info.euid, info.egid, info.suid, info.sgid, info.fsuid, info.fsgid);
		CALL(ioctl(fd, _IOWR(0xff, 11, char[64]), 1));
		CALL(ioctl(fd, _IOWR(0xff, 11, char[8]), &info));
		for (int command = 1; command <= 10; command++) {
			printf("%d ", command);
			CALL(opened(ioctl(fd, _IO(0xff, command), 0)));
		}
		CALL(opened(ioctl(fd, _IO(0xff, 3), 1)));
		if (known) // older kernels may check the access first
			CALL(opened(ioctl(fd, _IO(0xff, 99), 0)));
		struct iovec page = {read_only(), 4096};
		if (getuid() != 0) // root needs CAP_SYS_NICE outside of the container, too
			CALL(syscall(SYS_process_madvise, fd, &page, 1, MADV_COLD, 0));
		CALL(syscall(SYS_process_madvise, fd, &page, 1, MADV_COLD, 1));
		close(fd);
	}
	CALL(opened(ioctl(paths[0], _IO(0xff, 3), 0)));
	CALL(syscall(SYS_process_madvise, -1, NULL, 0, MADV_COLD, 0));
}

static void socket_attributes(void) {
	char value[8];
	CALL(setxattr("socket", "user.a", "b", 1, 0));
	CALL(getxattr("socket", "user.a", value, sizeof(value)));
	CALL(removexattr("socket", "user.a"));
	CALL(setxattr("fifo", "user.a", "b", 1, 0));
	CALL(setxattr("zero", "user.a", "b", 1, 0));
	int fd = must(socket(AF_UNIX, SOCK_STREAM, 0));
	CALL(fsetxattr(fd, "user.a", "b", 1, 0));
	CALL(fgetxattr(fd, "user.a", value, sizeof(value)));
	close(fd);
}

static void all(void) {
	printf("O_EMPTYPATH\n");
	empty_path();
	printf("OPENAT2_REGULAR\n");
	regular();
	printf("flags\n");
	flags();
	printf("trees\n");
	trees();
	printf("fanotify\n");
	if (getuid() != 0) // before Linux 5.13, root needs CAP_SYS_ADMIN outside of the container
		watches();
	printf("pidfds\n");
	pidfds();
	printf("attributes\n");
	socket_attributes();
}

static void idle(void) {
	for (;;)
		pause();
}

int main(void) {
	umask(0);
	must(chmod(".", 0755));
	must(mkdir("dir", 0755));
	must(mkdir("private", 0700));
	must(mkdir("sticky", 01777));
	make_file("own", 0600);
	make_file("secret", 0600);
	make_file("private/file", 0666);
	must(mkfifo("fifo", 0600));
	must(symlink("secret", "link"));
	must(mknod("null", S_IFCHR | 0600, makedev(1, 3)));
	must(mknod("zero", S_IFCHR | 0666, makedev(1, 5)));
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
	int fd = must(socket(AF_UNIX, SOCK_STREAM, 0));
	must(bind(fd, (void *)&address, sizeof(address)));
	must(chown("own", 21000, 21000));
	must(chown("socket", 21000, 21000));
	for (int i = 0; i < NAMES; i++)
		paths[i] = must(open(names[i], O_PATH | O_NOFOLLOW));
	struct child waiting[2] = {start(root, -1, idle), start(user, -1, idle)};
	for (int i = 0; i < 2; i++)
		processes[i] = waiting[i].pid;
	finish(start(root, -1, all));
	finish(start(user, -1, all));
	finish(start(user, -1, namespaces));
	for (int i = 0; i < 2; i++) {
		must(kill(waiting[i].pid, SIGKILL));
		must(waitpid(waiting[i].pid, NULL, 0));
	}
	return 0;
}
