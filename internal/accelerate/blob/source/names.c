// Calls that give an inode its first name, another one, or take one away.
#include "answer.h"

int plain_parent(int dirfd, const char *path) {
	char dir[248];
	u32 n = 0, end = 0; // end is after the last slash
	for (;; n++) {
		if ((n == 0 || ((u64)(path + n) & 4095) == 0) && !readable((u64)(path + n)))
			return 0;
		if (!path[n])
			break;
		if (n == sizeof(dir) - 1)
			return 0;
		dir[n] = path[n];
		if (path[n] == '/')
			end = n + 1;
	}
	if (end == n)
		return 0; // it is empty, or has a slash at its end
	if (end == 0)
		dir[end++] = '.';
	dir[end] = 0;
	u8 value[OWNER_SIZE];
	struct owner o;
	struct stat st;
	long r = read_record(dirfd, (u64)dir, 0, value, sizeof(value));
	if (r == -ENODATA)
		return 1;
	return r >= 0 && parse_owner(value, r, &o) && stat_of(dirfd, (u64)dir, &st, 0) == 0 && !(st.mode & S_ISGID);
}

long make_directory(int dirfd, u64 path, u64 mode) {
	return plain_parent(dirfd, (const char *)path) ? change(__NR_mkdirat, dirfd, path, mode, 0, 0) : NOTIFY;
}

long make_link(u64 target, int dirfd, u64 path) {
	return plain_parent(dirfd, (const char *)path) ? change(__NR_symlinkat, target, dirfd, path, 0, 0) : NOTIFY;
}

// nothing_to_forget reports whether the sidecar has nothing about the object at path, which is about
// to lose a name: because it can have a record itself, or does not exist.
static int nothing_to_forget(int dirfd, u64 path, u32 mode) {
	long r = read_record(dirfd, path, AT_SYMLINK_NOFOLLOW, 0, 0);
	return r >= 0 || r == -ENOENT || unrecorded(r, mode);
}

long remove_at(int dirfd, u64 path, u32 flags) {
	struct stat st = {.mode = S_IFDIR}; // rmdir(2) removes nothing else
	if (!(flags & AT_REMOVEDIR)) {
		long r = stat_of(dirfd, path, &st, AT_SYMLINK_NOFOLLOW);
		if (r && r != -ENOENT)
			return NOTIFY;
	}
	return nothing_to_forget(dirfd, path, st.mode) ? change(__NR_unlinkat, dirfd, path, flags, 0, 0) : NOTIFY;
}

long rename_at(int from, u64 old, int to, u64 new, u32 flags) {
	struct stat st;
	if (!(flags & RENAME_EXCHANGE)) {
		long r = stat_of(to, new, &st, AT_SYMLINK_NOFOLLOW);
		if (r != -ENOENT && !(r == 0 && nothing_to_forget(to, new, st.mode)))
			return NOTIFY;
	}
	return change(__NR_renameat2, from, old, to, new, flags);
}
