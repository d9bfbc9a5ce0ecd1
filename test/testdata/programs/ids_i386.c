// The 32-bit system calls: ids of 16 and of 32 bits, and the old structures.
#include "call.h"

#define OLDSTAT 18
#define OLDLSTAT 84
#define OLDFSTAT 28

struct old { // struct __old_kernel_stat
	uint16_t dev, ino, mode, nlink, uid, gid, rdev;
	uint32_t size, atime, mtime, ctime;
};

struct stat32 { // struct stat of the kernel's i386
	uint32_t dev, ino;
	uint16_t mode, nlink, uid, gid;
	uint32_t rest[14];
};

static void every_way(void) {
	struct stat st;
	struct stat32 st32;
	struct statx sx;
	int fd = must(open("file", O_RDONLY));
	must(stat("file", &st));
	printf("  stat64: %o %u:%u\n", st.st_mode, st.st_uid, st.st_gid);
	must(fstat(fd, &st));
	printf("  fstat64: %o %u:%u\n", st.st_mode, st.st_uid, st.st_gid);
	must(syscall(SYS_stat, "file", &st32));
	printf("  stat: %o %u:%u\n", st32.mode, st32.uid, st32.gid);
	must(syscall(SYS_lstat, "file", &st32));
	printf("  lstat: %o %u:%u\n", st32.mode, st32.uid, st32.gid);
	must(syscall(SYS_fstat, fd, &st32));
	printf("  fstat: %o %u:%u\n", st32.mode, st32.uid, st32.gid);
	must(statx(AT_FDCWD, "file", 0, STATX_BASIC_STATS, &sx));
	printf("  statx: %o %u:%u\n", sx.stx_mode, sx.stx_uid, sx.stx_gid);
	close(fd);
}

// A large inode number does not fit (EOVERFLOW). That is not tested here, so the next
// structure is used instead.
static void print_old(const char *name, long nr, long file) {
	struct old old;
	if (syscall(nr, file, &old) != 0) {
		struct stat32 st;
		if (errno != EOVERFLOW)
			must(-1);
		must(syscall(SYS_stat, "file", &st));
		old.mode = st.mode;
		old.uid = st.uid;
		old.gid = st.gid;
	}
	printf("  %s: %o %u:%u\n", name, old.mode, old.uid, old.gid);
}

static void old_structure(void) {
	int fd = must(open("file", O_RDONLY));
	print_old("oldstat", OLDSTAT, (long)"file");
	print_old("oldlstat", OLDLSTAT, (long)"file");
	print_old("oldfstat", OLDFSTAT, fd);
	close(fd);
}

int main(void) {
	int fd;
	make_file("file", 0644);
	must(symlink("file", "link"));
	fd = must(open("file", O_RDONLY));
	CALL(syscall(SYS_chown, "file", 42, 43));
	every_way();
	old_structure();
	CALL(syscall(SYS_chown, "file", 65535, 44));
	every_way();
	CALL(syscall(SYS_fchown, fd, 45, 0xffff));
	every_way();
	CALL(syscall(SYS_lchown, "link", 46, 47));
	show("link");
	CALL(syscall(SYS_chown32, "file", 65535, 65536));
	every_way();
	CALL(syscall(SYS_fchown32, fd, -1, 4294967294u));
	every_way();
	CALL(syscall(SYS_lchown32, "link", 100000, -1));
	show("link");
	CALL(syscall(SYS_fchownat, AT_FDCWD, "link", 7, 8, AT_SYMLINK_NOFOLLOW));
	show("link");
	CALL(syscall(SYS_chown, "none", 1, 1));
	CALL(syscall(SYS_chown32, NULL, 1, 1));
	CALL(syscall(SYS_stat64, "file", NULL));
	return 0;
}
