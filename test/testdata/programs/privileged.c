// Calls on open files that only the owner or a caller with a capability may make, and calls
// that need no_new_privs.
#include "call.h"
#include "ids.h"
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

#define BAD ((void *)1)
#ifdef SYS_fcntl64
#define FCNTL SYS_fcntl64
#else
#define FCNTL SYS_fcntl
#endif

static void leases(int fd, int path) {
	CALL(syscall(FCNTL, fd, F_GETLEASE));
	CALL(syscall(FCNTL, fd, F_SETLEASE, F_UNLCK));
	CALL(syscall(FCNTL, fd, F_SETLEASE, 100));
	CALL(syscall(FCNTL, fd, F_SETLEASE, -1));
	CALL(syscall(FCNTL, fd, F_SETLEASE, F_RDLCK));
	CALL(syscall(FCNTL, fd, F_GETLEASE));
	CALL(syscall(FCNTL, fd, F_SETLEASE, F_UNLCK));
	CALL(syscall(FCNTL, path, F_SETLEASE, F_RDLCK));
	CALL(syscall(FCNTL, -1, F_SETLEASE, F_RDLCK));
}

static void no_atime(int fd, int path) {
	int flags = must(syscall(FCNTL, fd, F_GETFL));
	CALL(syscall(FCNTL, fd, F_SETFL, flags | O_NOATIME));
	CALL(syscall(FCNTL, fd, F_SETFL, flags | O_NOATIME | O_APPEND | O_SYNC | O_CLOEXEC));
	printf("  O_NOATIME %d\n", (must(syscall(FCNTL, fd, F_GETFL)) & O_NOATIME) != 0);
	CALL(syscall(FCNTL, fd, F_SETFL, flags));
	CALL(syscall(FCNTL, path, F_SETFL, O_NOATIME));
	CALL(syscall(FCNTL, -1, F_SETFL, O_NOATIME));
}

static void attributes(int fd, int path) {
	struct fsxattr x = {0};
	int flags = 0;
	CALL(ioctl(fd, FS_IOC_GETFLAGS, &flags));
	CALL(ioctl(fd, FS_IOC_SETFLAGS, &flags));
	CALL(ioctl(fd, FS_IOC_SETFLAGS, BAD));
	CALL(ioctl(fd, FS_IOC_SETFLAGS, &(int){flags | FS_NODUMP_FL}));
	CALL(ioctl(fd, FS_IOC_SETFLAGS, &(int){flags | 0x40000000}));
	CALL(ioctl(fd, FS_IOC_FSGETXATTR, &x));
	CALL(ioctl(fd, FS_IOC_FSSETXATTR, &x));
	CALL(ioctl(fd, FS_IOC_FSSETXATTR, BAD));
	CALL(ioctl(fd, FS_IOC_SETVERSION, &flags));
	CALL(ioctl(path, FS_IOC_SETFLAGS, &flags));
	CALL(ioctl(-1, FS_IOC_SETFLAGS, &flags));
}

static void files(void) {
	static const char *const names[] = {"own", "roots", "dir", "fifo", "tmpfs/own", "tmpfs/roots", "readonly/roots"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int fd = must(open(names[i], O_RDONLY | O_NONBLOCK)), path = must(open(names[i], O_PATH));
		printf("%s\n", names[i]);
		leases(fd, path);
		no_atime(fd, path);
		attributes(fd, path);
		close(fd);
		close(path);
	}
	int fds[2];
	printf("a pipe\n");
	must(pipe(fds));
	leases(fds[0], fds[1]);
	attributes(fds[0], fds[1]);
	fds[0] = must(memfd_create("memory", 0));
	printf("a memfd\n");
	leases(fds[0], -1);
	no_atime(fds[0], -1);
	attributes(fds[0], -1);
}

static void handles(void) {
	struct { struct file_handle h; char bytes[128]; } f = {.h.handle_bytes = 128};
	int mount, dir = must(open("tmpfs", O_RDONLY));
	must(name_to_handle_at(AT_FDCWD, "tmpfs/own", &f.h, &mount, 0));
	int size = f.h.handle_bytes;
	CALL(open_by_handle_at(dir, &f.h, O_RDONLY) > 0);
	CALL(open_by_handle_at(-1, &f.h, O_RDONLY));
	CALL(open_by_handle_at(dir, BAD, O_RDONLY));
	f.h.handle_bytes = 1000;
	CALL(open_by_handle_at(dir, &f.h, O_RDONLY));
	f.h.handle_bytes = 0;
	CALL(open_by_handle_at(dir, &f.h, O_RDONLY));
	f.h.handle_bytes = size;
	CALL(open_by_handle_at(dir, (void *)(end_of_page() - 4), O_RDONLY));
}

// restart passes an unknown command to reboot(2).
static void restart(void) { CALL(syscall(SYS_reboot, 0, 0, 0, 0)); }

static void restrain(void) {
	struct sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
	struct sock_fprog prog = {1, allow}, none = {0, allow}, unreadable = {1, BAD}, large = {5000, allow};
	struct landlock_ruleset_attr attr = {.handled_access_fs = LANDLOCK_ACCESS_FS_MAKE_SOCK};
	CALL(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, BAD));
	CALL(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &none));
	CALL(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &large));
	CALL(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &unreadable));
	CALL(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog));
	CALL(prctl(PR_SET_SECCOMP, 100, &prog));
	CALL(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog));
	CALL(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0x10000, &prog));
	CALL(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &prog));
	CALL(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, BAD));
	CALL(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &none));
	int ruleset = syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	CALL(syscall(SYS_landlock_restrict_self, -1, 0));
	CALL(syscall(SYS_landlock_restrict_self, ruleset, 0x1000));
	CALL(syscall(SYS_landlock_restrict_self, ruleset, 0));
}

static void restrain_without_privileges(void) {
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	restrain();
}

static uint64_t kept;
static void (*then)(void);

// keep makes the caller user 21000 with some capabilities.
static void keep(void) {
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {{kept, kept, 0}, {kept >> 32, kept >> 32, 0}};
	must(prctl(PR_SET_KEEPCAPS, 1));
	become((struct someone){21000, 21000, 21000});
	must(syscall(SYS_capset, &header, data));
	then();
}

static const struct someone root = {0, 0, 0}, user = {21000, 21000, 21000};

static void with(int capability, void (*f)(void)) {
	printf("with capability %d\n", capability);
	kept = 1ull << capability, then = f;
	finish(start(root, -1, keep));
}

static void make(const char *dir) {
	must(chdir(dir));
	make_file("own", 0666);
	make_file("roots", 0666);
	must(chown("own", 21000, 21000));
	must(chdir(".."));
}

int main(void) {
	must(chmod(".", 0755));
	must(unshare(CLONE_NEWNS));
	must(mkdir("tmpfs", 0755));
	must(mkdir("readonly", 0755));
	must(mkdir("dir", 0755));
	must(mkfifo("fifo", 0666));
	must(chmod("fifo", 0666));
	must(mount("none", "tmpfs", "tmpfs", 0, "mode=755"));
	make("tmpfs");
	must(mount("none", "readonly", "tmpfs", 0, "mode=755"));
	make("readonly");
	must(mount("none", "readonly", "tmpfs", MS_REMOUNT | MS_RDONLY, NULL));
	make_file("own", 0666);
	make_file("roots", 0666);
	must(chown("own", 21000, 21000));
	finish(start(root, -1, files));
	finish(start(user, -1, files));
	with(CAP_LEASE, files);
	with(CAP_FOWNER, files);
	finish(start(user, -1, handles));
	finish(start(user, -1, restart));
	finish(start(root, -1, restrain));
	finish(start(user, -1, restrain));
	finish(start(user, -1, restrain_without_privileges));
	with(CAP_SYS_ADMIN, restrain);
	return 0;
}
