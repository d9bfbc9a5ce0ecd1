// Calls that open a file, or create a regular one.
#include "answer.h"

// may_read reports whether the kernel opens for reading what the supervisor would. The supervisor opens
// placeholders of devices, which are empty regular files whose record says so, or sockets; the multiplexer
// of pseudoterminals; and files of procfs that show user ids, which are empty and have no attributes.
static int may_read(int dirfd, u64 path, u32 follow, const struct stat *st) {
	switch (st->mode & S_IFMT) {
	case S_IFREG:
		return st->size != 0 || at_most_owned(dirfd, path, follow, st->mode);
	case S_IFCHR:
		return st->rdev != PTMX;
	}
	return 1; // of sockets and symbolic links, the kernel returns errors
}

// open_to_read answers calls that open for reading. It looks at the file before it is open: closing a
// descriptor of it again would release the locks of the process (fcntl(2), F_SETLK).
static long open_to_read(int dirfd, u64 path, u32 flags) {
	struct stat st;
	u32 follow = flags & O_NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0;
	if (!(flags & O_DIRECTORY) && stat_of(dirfd, path, &st, follow) == 0 && !may_read(dirfd, path, follow, &st))
		return NOTIFY;
	long fd = fast(__NR_openat, dirfd, path, flags, 0, 0);
	return denied(fd) ? NOTIFY : fd;
}

// may_write is may_read for writing. The supervisor moves set-id bits to the record and back.
static int may_write(int dirfd, u64 path, u32 follow, const struct stat *st) {
	return !(is_regular(st->mode) && st->mode & SET_ID_BITS) && may_read(dirfd, path, follow, st);
}

// open_to_write answers all other calls that open.
static long open_to_write(int dirfd, u64 path, u32 flags, u64 mode) {
	struct stat st;
	int ok;
	if (flags & __O_TMPFILE || (flags & O_CREAT && flags & O_DIRECTORY))
		return NOTIFY;
	if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		ok = plain_parent(dirfd, (const char *)path);
	else if (flags & O_CREAT) {
		// Another file than a regular one may be protected: see protected_fifos in proc(5). And a
		// symbolic link may lead nowhere, and the file be created in another directory.
		long r = stat_of(dirfd, path, &st, AT_SYMLINK_NOFOLLOW);
		ok = r == 0 ? is_regular(st.mode) && may_write(dirfd, path, AT_SYMLINK_NOFOLLOW, &st) : r == -ENOENT && plain_parent(dirfd, (const char *)path);
	} else {
		u32 follow = flags & O_NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0;
		ok = stat_of(dirfd, path, &st, follow) == 0 && may_write(dirfd, path, follow, &st);
	}
	if (!ok)
		return NOTIFY;
	long fd = fast(__NR_openat, dirfd, path, flags, mode, 0);
	return denied(fd) ? NOTIFY : fd;
}

long open_at(int dirfd, u64 path, u32 flags, u64 mode) {
	if (flags & O_PATH) {
		long fd = fast(__NR_openat, dirfd, path, flags & ~__O_TMPFILE, mode, 0); // which the kernel ignores then, but not the filter
		return denied(fd) ? NOTIFY : fd;
	}
	return flags & O_WRITES ? open_to_write(dirfd, path, flags, mode) : open_to_read(dirfd, path, flags);
}
