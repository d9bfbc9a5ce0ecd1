// Devices with the 32-bit system calls, whose structures hold device numbers of 16 and 64
// bits.
#include "call.h"
#include <sys/sysmacros.h>

struct stat32 { // struct stat of the kernel's i386
	uint32_t dev, ino;
	uint16_t mode, nlink, uid, gid;
	uint32_t rdev, size, blksize, blocks;
	uint32_t rest[8];
};

static void make(const char *path, mode_t mode, dev_t dev) {
	struct stat st;
	struct statx sx;
	struct stat32 st32;
	printf("%s\n", path);
	CALL(syscall(SYS_mknod, path, mode, (unsigned)dev));
	must(lstat(path, &st));
	printf("  lstat64: %o %u:%u size %ld blocks %ld\n", st.st_mode, major(st.st_rdev), minor(st.st_rdev), (long)st.st_size, (long)st.st_blocks);
	must(statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &sx));
	printf("  statx: %o %u:%u\n", sx.stx_mode, sx.stx_rdev_major, sx.stx_rdev_minor);
	if (CALL(syscall(SYS_lstat, path, &st32)) == 0)
		printf("  lstat: %o %x size %u blocks %u\n", st32.mode, st32.rdev, st32.size, st32.blocks);
}

int main(void) {
	umask(022);
	make("null", S_IFCHR | 0666, makedev(1, 3));
	make("zero", S_IFCHR | 0666, makedev(1, 5));
	make("disk", S_IFBLK | 0660, makedev(8, 17));
	make("wide", S_IFBLK | 0660, makedev(259, 66000));
	make("fifo", S_IFIFO | 0660, 0);
	CALL(syscall(SYS_mknodat, AT_FDCWD, "null", S_IFCHR | 0666, 0x103));
	CALL(syscall(SYS_mknodat, AT_FDCWD, "again", S_IFCHR | 0666, 0x103));
	CALL(syscall(SYS_mknod, NULL, S_IFCHR | 0666, 0x103));
	return 0;
}
