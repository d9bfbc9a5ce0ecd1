// Access of a user across mount points, with openat2, in another root directory or user
// namespace, with some capabilities, and with another file system id; and an open of a FIFO
// that blocks until a signal interrupts it.
#include "reach.h"
#include <sched.h>
#include <stddef.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <linux/capability.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <sys/statfs.h>
#include <linux/openat2.h>
#include <signal.h>

// as_capable calls f in a process of user 1000 with these capabilities.
static void as_capable(unsigned caps, void (*f)(void)) {
	fflush(stdout);
	pid_t pid = must(fork());
	if (pid == 0) {
		must(setgroups(0, NULL));
		must(prctl(PR_SET_KEEPCAPS, 1));
		must(setresgid(1000, 1000, 1000));
		must(setresuid(1000, 1000, 1000));
		struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
		struct __user_cap_data_struct d[2] = {{caps, caps, 0}};
		must(syscall(SYS_capset, &h, d));
		f();
		fflush(stdout);
		_exit(0);
	}
	reap(pid);
}

// try_openat2 opens a file with openat2 and closes it.
static int try_openat2(int dirfd, const char *path, unsigned long flags, unsigned long resolve) {
	struct open_how how = {flags, flags & O_CREAT ? 0644 : 0, resolve};
	int fd = syscall(SYS_openat2, dirfd, path, &how, sizeof how);
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

static void mountpoints(void) {
	CALL(rmdir("sticky/mp"));
	CALL(rmdir("sticky/own"));
	CALL(rename("sticky/mp", "sticky/x"));
	CALL(rename("sticky/mp", "own/x"));
	CALL(rename("own/f", "sticky/mp"));
	CALL(rename("own/d", "sticky/mp"));
	CALL(rename("own/d", "sticky/mp/d"));
	CALL(unlink("sticky/mf"));
	CALL(unlink("sticky/rootfile"));
	CALL(rename("sticky/rootfile", "sticky/x"));
	CALL(rename("own/f", "sticky/rootfile"));
	CALL(link("sticky/rootfile", "own/l"));
	CALL(link("sticky/ownfile", "own/l"));
	CALL(unlink("own/l"));
	CALL(rmdir("plain/mp"));
	CALL(try_open("sticky/mp/..", O_PATH));
	CALL(chdir("sticky/mp/../mp"));
	struct statfs fs;
	CALL(statfs("closed/x", &fs));
}

static void chrooted(void) {
	struct stat st;
	CALL(stat("/", &st));
	CALL(stat("/..", &st));
	CALL(stat("/../../open", &st));
	CALL(stat("/closed/..", &st));
	CALL(stat("/closed/x", &st));
	CALL(stat("/abs", &st));
	CALL(stat("/absclosed", &st));
	CALL(try_open("/open/new", O_CREAT | O_WRONLY));
	show("/open/new");
	CALL(mkdir("/new", 0755));
	CALL(mkdir("/open/../new", 0755));
	CALL(access("/open", W_OK));
	CALL(access("/..", W_OK));
	CALL(chroot("/open"));
	CALL(chroot("/closed"));
	CALL(chroot("/closed/x"));
	CALL(chroot("/open/new"));
}

static int outside;
static void chroot_escape(void) {
	struct stat st;
	CALL(fstatat(outside, "closed/x", &st, 0));
	CALL(fstatat(outside, "..", &st, 0));
	CALL(faccessat(outside, "own", W_OK, 0));
	CALL(fchdir(outside));
	CALL(stat("own", &st));
	CALL(stat("closed/x", &st));
}

static void usernamespace(void) {
	struct stat st;
	CALL(unshare(CLONE_NEWUSER));
	CALL(access("closed/x", F_OK));
	CALL(try_open("closed/x", O_RDONLY));
	CALL(try_open("own/closedfile", O_RDONLY));
	CALL(chmod("own/closedfile", 0));
	CALL(try_open("own/closedfile", O_RDONLY));
	CALL(chmod("own/closedfile", 0600));
	CALL(stat("own/closedfile", &st));
	CALL(mkdir("plain/n", 0755));
	CALL(mkdir("own/n", 0755));
	CALL(rmdir("own/n"));
	CALL(unshare(CLONE_NEWNS));
	CALL(chroot("closed"));
	CALL(chroot("own"));
	CALL(stat("/closedfile", &st));
	CALL(stat("/../closed", &st));
}

static void resolves(void) {
	int d = open("resolve", O_PATH);
	CALL(try_openat2(d, "closed/x", O_RDONLY, RESOLVE_BENEATH));
	CALL(try_openat2(d, "up", O_RDONLY, RESOLVE_BENEATH));
	CALL(try_openat2(d, "up", O_RDONLY, RESOLVE_IN_ROOT));
	CALL(try_openat2(d, "up", O_RDONLY, RESOLVE_NO_SYMLINKS));
	CALL(try_openat2(d, "../own/f", O_RDONLY, RESOLVE_BENEATH));
	CALL(try_openat2(d, "../open", O_RDONLY, RESOLVE_IN_ROOT));
	CALL(try_openat2(d, "/open", O_RDONLY, RESOLVE_IN_ROOT));
	CALL(try_openat2(d, "/open", O_RDONLY, RESOLVE_BENEATH));
	CALL(try_openat2(d, "new", O_CREAT | O_WRONLY, RESOLVE_BENEATH));
	CALL(try_openat2(d, "dangle", O_CREAT | O_WRONLY, RESOLVE_BENEATH));
	CALL(try_openat2(d, "dangle", O_CREAT | O_WRONLY, RESOLVE_IN_ROOT));
	CALL(try_openat2(d, "dangle", O_CREAT | O_WRONLY, RESOLVE_NO_SYMLINKS));
	CALL(try_openat2(d, "dangle", O_CREAT | O_WRONLY, 0));
	CALL(try_openat2(d, "open/new", O_CREAT | O_WRONLY, RESOLVE_BENEATH));
	CALL(try_openat2(d, "mp/x", O_RDONLY, RESOLVE_NO_XDEV));
	CALL(try_openat2(d, "mp", O_RDONLY, RESOLVE_NO_XDEV));
	CALL(try_openat2(d, "mp/..", O_RDONLY, RESOLVE_NO_XDEV));
	CALL(try_openat2(d, "mp/x", O_RDONLY, 0));
	CALL(try_openat2(d, "mp/new", O_CREAT | O_RDONLY, RESOLVE_NO_XDEV));
	CALL(try_openat2(AT_FDCWD, "/proc/self/cwd/own", O_RDONLY, RESOLVE_NO_MAGICLINKS));
	CALL(try_openat2(AT_FDCWD, "/proc/self/cwd/own", O_RDONLY, 0));
	CALL(try_openat2(AT_FDCWD, "closed/x", O_RDONLY, 0x1000));
	CALL(try_openat2(AT_FDCWD, "own/f", O_RDONLY, 0x20)); // RESOLVE_CACHED
	CALL(try_openat2(AT_FDCWD, "closedfile", O_RDONLY, 0x20));
	CALL(try_openat2(AT_FDCWD, "closed/x", O_CREAT | O_RDONLY, 0x20));
	CALL(try_openat2(AT_FDCWD, "closed/x", O_RDONLY, RESOLVE_BENEATH | RESOLVE_IN_ROOT));
	CALL(try_openat2(AT_FDCWD, "closed/x", O_RDONLY | 1 << 30, 0));
	CALL(try_openat2(99, "closed/x", O_RDONLY, 0));
	for (unsigned long flag = 1; flag < 0x20; flag <<= 1) {
		CALL(try_openat2(99, "/none", O_RDONLY | O_CREAT, flag));
		CALL(try_openat2(99, "none", O_RDONLY | O_CREAT, flag));
		CALL(try_openat2(99, "/own", O_RDONLY, flag));
	}
	struct stat st;
	CALL(fstatat(AT_FDCWD, "", &st, AT_EMPTY_PATH));
	CALL(fstatat(AT_FDCWD, "", &st, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW));
	CALL(fstatat(d, "", &st, AT_EMPTY_PATH));
	CALL(stat("", &st));
	CALL(stat("/", &st));
	CALL(stat("//", &st));
	CALL(stat(".", &st));
	CALL(stat("own/", &st));
	CALL(stat("own/f/", &st));
	CALL(stat("own//d/./../f", &st));
	CALL(stat("own/f/x", &st));
	CALL(stat("own/none/x", &st));
	CALL(try_openat2(AT_FDCWD, "own/f", O_RDONLY | O_DIRECTORY, 0));
	CALL(try_openat2(AT_FDCWD, "own", O_TMPFILE | O_RDWR, RESOLVE_NO_SYMLINKS));
	CALL(try_openat2(AT_FDCWD, "plain", O_TMPFILE | O_RDWR, RESOLVE_NO_SYMLINKS));
}

static void capable(void) {
	struct stat st;
	CALL(stat("closed/x", &st));
	CALL(try_open("closed/x", O_RDONLY));
	CALL(try_open("closed/x", O_RDWR));
	CALL(try_open("closed", O_RDONLY));
	CALL(mkdir("closed/n", 0755));
	CALL(rmdir("closed/n"));
	CALL(access("closed/x", R_OK));
	CALL(syscall(SYS_faccessat2, AT_FDCWD, "closed/x", R_OK, AT_EACCESS));
	CALL(syscall(SYS_faccessat2, AT_FDCWD, "closed/x", X_OK, AT_EACCESS));
	CALL(syscall(SYS_faccessat2, AT_FDCWD, "execroot", X_OK, AT_EACCESS));
	CALL(unlink("sticky/rootfile2"));
	CALL(rename("sticky/rootfile", "sticky/y"));
	CALL(rename("sticky/y", "sticky/rootfile"));
	CALL(chmod("sticky/rootfile", 0644));
	CALL(utimensat(AT_FDCWD, "sticky/rootfile", NULL, 0));
	CALL(try_open("sticky/rootfile", O_RDONLY | O_NOATIME));
	CALL(link("sticky/rootfile", "own/hl"));
	CALL(unlink("own/hl"));
	CALL(setxattr("sticky", "user.a", "1", 1, 0));
	CALL(setxattr("plain/f", "user.a", "1", 1, 0));
	CALL(getxattr("closed/x", "user.a", NULL, 0));
	CALL(truncate("plain/f", 0));
	CALL(mount("plain", "closed/x", NULL, MS_BIND, NULL));
	CALL(umount("closed/x"));
	CALL(umount("closed/none"));
	CALL(chroot("closed/x"));
	CALL(chroot("closed"));
}

static void fsuids(void) {
	struct stat st;
	setfsuid(1001);
	setfsgid(1001);
	CALL(stat("closed1001/x", &st));
	CALL(stat("closed1000/x", &st));
	CALL(access("closed1001/x", F_OK));
	CALL(access("closed1000/x", F_OK));
	CALL(syscall(SYS_faccessat2, AT_FDCWD, "closed1001/x", W_OK, AT_EACCESS));
	CALL(syscall(SYS_faccessat2, AT_FDCWD, "closed1000/x", W_OK, AT_EACCESS));
	CALL(mkdir("closed1001/n", 0755));
	CALL(chmod("closed1001/x", 0640));
	CALL(unlink("closed1001/x"));
}

static void set_ids(void) {
	CALL(setresuid(1000, 1001, 1001));
	fsuids();
	struct stat st;
	setfsuid(1001);
	CALL(access("closed1001", X_OK));
	CALL(access("closed1000", X_OK));
	CALL(syscall(SYS_faccessat2, AT_FDCWD, "closed1001", X_OK, AT_EACCESS));
	CALL(stat("closed1000/x", &st));
}

// fifo_blocks opens a FIFO for reading, which waits for a writer: one that comes, and then none.
static void fifo_blocks(void) {
	fflush(stdout);
	pid_t pid = must(fork());
	if (pid == 0) {
		alarm(60);
		open("own/fifo", O_RDONLY);
		_exit(1);
	}
	int opened, status;
	while ((opened = try_open("own/fifo", O_WRONLY | O_NONBLOCK)) < 0 && errno == ENXIO && waitpid(pid, &status, WNOHANG) == 0)
		usleep(1000); // the reader does not wait yet
	printf("writer %d\n", opened);
	waitpid(pid, &status, 0);
	printf("status %x\n", status);
	pid = must(fork());
	if (pid == 0) {
		alarm(1);
		open("own/fifo", O_RDONLY | O_CREAT, 0644);
		_exit(1);
	}
	waitpid(pid, &status, 0);
	printf("status %x\n", status);
}

static void tofile(const char *path, mode_t mode, int id) {
	make_file(path, mode);
	must(chown(path, id, id));
}

int main(void) {
	must(chmod(".", 0755));
	umask(022);
	must(unshare(CLONE_NEWNS));
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	must(mkdir("sticky", 0755));
	must(chmod("sticky", 01777));
	must(mkdir("own", 0755));
	must(mkdir("own/d", 0755));
	must(chown("own/d", 1000, 1000));
	must(chown("own", 1000, 1000));
	must(mkdir("plain", 0755));
	must(mkdir("closed", 0700));
	must(mkdir("closed/x", 0755));
	must(mkdir("closed/none", 0755));
	tofile("own/f", 0644, 1000);
	tofile("own/closedfile", 0600, 1000);
	tofile("plain/f", 0644, 0);
	tofile("closedfile", 0600, 0);
	tofile("execroot", 0744, 0);
	tofile("sticky/rootfile", 0644, 0);
	tofile("sticky/rootfile2", 0644, 0);
	tofile("sticky/ownfile", 0644, 1000);
	tofile("sticky/mf", 0644, 1000);
	must(mkdir("sticky/mp", 0755));
	must(chown("sticky/mp", 1000, 1000));
	must(mkdir("sticky/own", 0755));
	must(chown("sticky/own", 1000, 1000));
	must(mkdir("plain/mp", 0755));
	must(mount("tmpfs", "sticky/mp", "tmpfs", 0, "mode=755"));
	must(mount("sticky/rootfile", "sticky/mf", NULL, MS_BIND, NULL));
	must(mount("tmpfs", "plain/mp", "tmpfs", 0, "mode=755"));
	must(mkfifo("own/fifo", 0666));
	must(chown("own/fifo", 1000, 1000));
	puts("mountpoints");
	as_user(mountpoints);
	puts("chroot");
	must(mkdir("root", 0755));
	must(mkdir("root/open", 0777));
	must(chmod("root/open", 0777));
	must(mkdir("root/closed", 0700));
	must(mkdir("root/closed/x", 0755));
	must(symlink("/open", "root/abs"));
	must(symlink("/closed/x", "root/absclosed"));
	fflush(stdout);
	pid_t pid = must(fork());
	if (pid == 0) {
		outside = must(open(".", O_PATH));
		must(chroot("root"));
		as_user(chroot_escape);
		must(chdir("/"));
		as_user(chrooted);
		as_user(chroot_escape);
		fflush(stdout);
		_exit(0);
	}
	reap(pid);
	puts("resolve");
	must(mkdir("resolve", 0755));
	must(mkdir("resolve/closed", 0700));
	must(mkdir("resolve/closed/x", 0700));
	must(mkdir("resolve/open", 0777));
	must(chmod("resolve/open", 0777));
	must(symlink("../own/f", "resolve/up"));
	must(symlink("../own/dangled", "resolve/dangle"));
	must(mkdir("resolve/mp", 0755));
	must(mount("tmpfs", "resolve/mp", "tmpfs", 0, "mode=755"));
	must(mkdir("resolve/mp/x", 0755));
	as_user(resolves);
	puts("user namespace");
	as_user(usernamespace);
	for (int i = 0; i < 5; i++) {
		printf("capabilities %d\n", i);
		unsigned caps[] = {1 << CAP_DAC_READ_SEARCH, 1 << CAP_DAC_OVERRIDE, 1 << CAP_FOWNER, 1 << CAP_SYS_ADMIN, 1 << CAP_SYS_CHROOT};
		as_capable(caps[i], capable);
		if (access("sticky/rootfile2", F_OK))
			tofile("sticky/rootfile2", 0644, 0);
	}
	puts("fsuid");
	for (int id = 1000; id < 1002; id++) {
		char b[32];
		snprintf(b, 32, "closed%d", id);
		must(mkdir(b, 0700));
		snprintf(b, 32, "closed%d/x", id);
		tofile(b, 0600, id);
		snprintf(b, 32, "closed%d", id);
		must(chown(b, id, id));
	}
	fflush(stdout);
	pid = must(fork());
	if (pid == 0) {
		setgroups(0, NULL);
		set_ids();
		fflush(stdout);
		_exit(0);
	}
	reap(pid);
	pid = must(fork());
	if (pid == 0) {
		setgroups(0, NULL);
		fsuids();
		fflush(stdout);
		_exit(0);
	}
	reap(pid);
	puts("fifo");
	as_user(fifo_blocks);
	return 0;
}
