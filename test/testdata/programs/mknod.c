// mknod of every type, and calls with the paths of device nodes.
#include "call.h"
#include <sys/sysmacros.h>
#include <sys/xattr.h>

static void device(const char *path) {
	struct stat st;
	struct statx sx;
	if (lstat(path, &st) < 0) {
		printf("  %s: %s\n", path, strerrorname_np(errno));
		return;
	}
	printf("  %s: %06o %u:%u device %u:%u size %ld blocks %ld links %ld\n", path, st.st_mode, st.st_uid, st.st_gid,
	       major(st.st_rdev), minor(st.st_rdev), (long)st.st_size, (long)st.st_blocks, (long)st.st_nlink);
	must(statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &sx));
	printf("  statx: %06o device %u:%u size %ld blocks %ld\n", sx.stx_mode, sx.stx_rdev_major, sx.stx_rdev_minor,
	       (long)sx.stx_size, (long)sx.stx_blocks);
}

static void every_way(const char *path) {
	struct stat st;
	int opath = must(open(path, O_PATH));
	device(path);
	must(stat(path, &st));
	printf("  stat: %06o %lx\n", st.st_mode, (long)st.st_rdev);
	must(fstat(opath, &st));
	printf("  fstat of O_PATH: %06o %lx\n", st.st_mode, (long)st.st_rdev);
	must(fstatat(opath, "", &st, AT_EMPTY_PATH));
	printf("  fstatat: %06o %lx\n", st.st_mode, (long)st.st_rdev);
	close(opath);
}

static void names(const char *path) {
	printf("%s\n", path);
	every_way(path);
	CALL(chmod(path, 04751));
	device(path);
	CALL(chown(path, 42, 43));
	device(path);
	CALL(chown(path, 0, 0));
	device(path);
	CALL(link(path, "link"));
	device("link");
	CALL(rename("link", "moved"));
	device("moved");
	CALL(chown("moved", 7, 8));
	every_way(path);
	CALL(unlink(path));
	device("moved");
	CALL(symlink("moved", "link"));
	CALL(access("link", R_OK | W_OK));
	CALL(access("link", X_OK));
	CALL(chmod("link", 0));
	CALL(access("link", R_OK));
	CALL(utimensat(AT_FDCWD, "link", (struct timespec[]){{1, 2}, {3, 4}}, 0));
	struct stat st;
	must(stat("link", &st));
	printf("  times: %ld.%ld %ld.%ld\n", (long)st.st_atim.tv_sec, st.st_atim.tv_nsec, (long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	CALL(open("link", O_RDONLY | O_DIRECTORY));
	CALL(mkdir("moved", 0755));
	CALL(unlink("link"));
	CALL(rmdir("moved"));
	CALL(unlink("moved"));
	device("moved");
}

static void errors(void) {
	make_file("file", 0644);
	must(symlink("none", "dangling"));
	CALL(mknod("file", S_IFCHR | 0666, makedev(1, 3)));
	CALL(mknod("file", S_IFBLK | 0666, makedev(8, 0)));
	CALL(mknod("dangling", S_IFCHR | 0666, makedev(1, 3)));
	CALL(mknod("none/x", S_IFCHR | 0666, makedev(1, 3)));
	CALL(mknod("file/x", S_IFCHR | 0666, makedev(1, 3)));
	CALL(mknod("new/", S_IFCHR | 0666, makedev(1, 3)));
	CALL(mknod("/", S_IFCHR | 0666, makedev(1, 3)));
	CALL(mknod(".", S_IFBLK | 0666, makedev(1, 3)));
	CALL(mknod("..", S_IFBLK | 0666, makedev(1, 3)));
	CALL(mknod("", S_IFCHR | 0666, makedev(1, 3)));
	CALL(mknod(fill(256, 'x'), S_IFCHR | 0666, makedev(1, 3)));
	CALL(mknod(fill(4096, '/'), S_IFCHR | 0666, makedev(1, 3)));
	CALL(syscall(SYS_mknodat, AT_FDCWD, NULL, S_IFCHR | 0666, makedev(1, 3)));
	CALL(syscall(SYS_mknodat, AT_FDCWD, end_of_page(), S_IFCHR | 0666, makedev(1, 3)));
	CALL(syscall(SYS_mknodat, -1, "x", S_IFCHR | 0666, makedev(1, 3)));
	CALL(syscall(SYS_mknodat, must(open("file", O_RDONLY)), "x", S_IFCHR | 0666, makedev(1, 3)));
	CALL(syscall(SYS_mknodat, AT_FDCWD, "new", S_IFDIR | 0755, 0));
	CALL(syscall(SYS_mknodat, AT_FDCWD, "new", S_IFLNK | 0755, 0));
	CALL(syscall(SYS_mknodat, AT_FDCWD, NULL, S_IFDIR | 0755, 0));
	CALL(syscall(SYS_mknodat, AT_FDCWD, NULL, 0170000 | 0755, 0));
	CALL(syscall(SYS_mknodat, AT_FDCWD, "/proc/x", S_IFCHR | 0666, makedev(1, 3)));
	device("new");
}

int main(void) {
	umask(022);
	const struct {
		mode_t type;
		dev_t number;
	} devices[] = {
		{S_IFCHR, makedev(1, 3)},
		{S_IFCHR, makedev(1, 5)},
		{S_IFCHR, makedev(5, 0)},
		{S_IFBLK, makedev(1, 3)},
		{S_IFBLK, makedev(8, 17)},
		{S_IFCHR, makedev(0, 0)},
		{S_IFBLK, makedev(0, 0)},
		{S_IFCHR, makedev(4095, 0xfffff)},
		{S_IFBLK, makedev(259, 0x12345)},
	};
	for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
		CALL(mknod("device", devices[i].type | 0666, devices[i].number));
		names("device");
	}
	CALL(mknod("file0", 0666, 5));
	CALL(mknod("fifo", S_IFIFO | 0622, 5));
	CALL(mknod("socket", S_IFSOCK | 0777, 5));
	CALL(mknod("regular", S_IFREG | 06777, 5));
	device("file0");
	device("fifo");
	device("socket");
	device("regular");

	puts("bits above the 16 of umode_t");
	CALL(syscall(SYS_mknodat, AT_FDCWD, "wide", 0xffff0000 | S_IFCHR | 0600, 0x105));
	device("wide");

	puts("umask");
	umask(077);
	CALL(mknod("masked", S_IFCHR | 04777, makedev(1, 5)));
	device("masked");
	umask(0);
	CALL(mknod("unmasked", S_IFBLK | 07777, makedev(8, 0)));
	device("unmasked");
	umask(022);

	puts("a set-group-ID directory");
	must(mkdir("setgid", 0755));
	must(chown("setgid", 5, 6));
	must(chmod("setgid", 02755));
	CALL(mknod("setgid/null", S_IFCHR | 0666, makedev(1, 3)));
	CALL(mknod("setgid/disk", S_IFBLK | 02666, makedev(8, 0)));
	CALL(mknod("setgid/whiteout", S_IFCHR, makedev(0, 0)));
	CALL(mknod("setgid/fifo", S_IFIFO | 0666, 0));
	CALL(mknod("setgid/file", 0666, 0));
	device("setgid/null");
	device("setgid/disk");
	device("setgid/whiteout");
	device("setgid/fifo");
	device("setgid/file");

	puts("a default ACL takes the place of the umask");
	must(mkdir("acl", 0755));
	// user::rwx, group::r-x, other::-w-
	static const char acl[] = "\2\0\0\0\1\0\7\0\377\377\377\377\4\0\5\0\377\377\377\377\40\0\2\0\377\377\377\377";
	must(setxattr("acl", "system.posix_acl_default", acl, sizeof acl - 1, 0));
	umask(077);
	CALL(mknod("acl/null", S_IFCHR | 0666, makedev(1, 3)));
	CALL(mknod("acl/disk", S_IFBLK | 0666, makedev(8, 0)));
	device("acl/null");
	device("acl/disk");
	umask(022);

	puts("relative to a descriptor");
	int dir = must(open("setgid", O_PATH));
	CALL(mknodat(dir, "zero", S_IFCHR | 0666, makedev(1, 5)));
	device("setgid/zero");

	puts("errors");
	errors();

	puts("extended attributes");
	must(mknod("null", S_IFCHR | 0666, makedev(1, 3)));
	must(mknod("tty", S_IFCHR | 0666, makedev(5, 0)));
	char list[256];
	CALL(listxattr("null", list, sizeof list));
	CALL(listxattr("tty", list, sizeof list));
	CALL(setxattr("tty", "user.x", "y", 1, 0));
	CALL(getxattr("tty", "user.rootlesscontainers", list, sizeof list));
	CALL(getxattr("null", "user.rootlesscontainers", list, sizeof list));

	puts("what is read from a null");
	int null = must(open("null", O_RDONLY));
	CALL(read(null, list, sizeof list));
	struct stat st;
	must(fstat(null, &st));
	printf("  fstat: %06o %lx\n", st.st_mode, (long)st.st_rdev);
	return 0;
}
