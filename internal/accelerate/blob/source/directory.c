// getdents64(2).
#include "answer.h"

// struct linux_dirent64 of getdents(2).
struct dirent {
	u64 ino, off;
	u16 size;
	u8 type;
	char name[];
} __attribute__((packed));

// list_directory answers getdents64(2), unless there is what may be the placeholder of a device.
long list_directory(int fd, u64 entries, u64 size) {
	// On btrfs, lseek makes entries visible that are newer than the descriptor.
	struct statfs fs;
	if (fast(__NR_fstatfs, fd, (u64)&fs, 0, 0, 0) < 0 || fs.type == BTRFS_SUPER_MAGIC)
		return NOTIFY;
	long at = fast(__NR_lseek, fd, 0, SEEK_CUR, 0, 0);
	if (at < 0)
		return NOTIFY;
	long r = fast(__NR_getdents64, fd, entries, size, 0, 0);
	for (long i = 0; i < r;) {
		const struct dirent *d = (const struct dirent *)(entries + i);
		if (d->type == DT_SOCK || (d->type == DT_REG && begins(d->name, "null") && !d->name[4]))
			return fast(__NR_lseek, fd, at, SEEK_SET, 0, 0) == at ? NOTIFY : r;
		if (!d->size)
			break; // another thread has written there
		i += d->size;
	}
	return denied(r) ? NOTIFY : r;
}
