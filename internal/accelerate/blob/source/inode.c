// Calls that change mode and owner of an inode.
#include "answer.h"

int may_chmod(u32 old, u32 new) { return is_directory(old) || (is_regular(old) && !((old | new) & SET_ID_BITS)); }

long chmod_at(int dirfd, u64 path, u32 mode) {
	struct stat st;
	return stat_of(dirfd, path, &st, 0) == 0 && may_chmod(st.mode, mode) ? change(__NR_fchmodat, dirfd, path, mode, 0, 0) : NOTIFY;
}

long chmod_fd(int fd, u32 mode) {
	struct stat st;
	return fast(__NR_fstat, fd, (u64)&st, 0, 0, 0) == 0 && may_chmod(st.mode, mode) ? change(__NR_fchmod, fd, mode, 0, 0, 0) : NOTIFY;
}

// chown_at answers calls that give root what belongs to root.
long chown_at(int dirfd, u64 path, u32 uid, u32 gid, u32 flags) {
	struct stat st;
	if (uid | gid || stat_of(dirfd, path, &st, flags) != 0 || st.mode & SET_ID_BITS || !unrecorded(read_record(dirfd, path, flags, 0, 0), st.mode))
		return NOTIFY;
	return change(__NR_fchownat, dirfd, path, 0, 0, flags);
}

// chown_fd answers calls that give a file without a record to anybody. As the supervisor does, it
// first lets the kernel give the file to root, which finds the errors and removes capabilities. If
// there is a record, it cannot be created.
long chown_fd(int fd, u32 uid, u32 gid) {
	struct stat st;
	struct owner to = {uid, gid};
	u8 value[OWNER_SIZE];
	if (uid == NO_ID || gid == NO_ID || fast(__NR_fstat, fd, (u64)&st, 0, 0, 0) != 0 || st.mode & SET_ID_BITS || !(is_regular(st.mode) || is_directory(st.mode)))
		return NOTIFY;
	if (!(uid | gid) && read_record_fd(fd, 0, 0) != -ENODATA)
		return NOTIFY;
	long r = change(__NR_fchown, fd, 0, 0, 0, 0);
	if (r || !(uid | gid))
		return r;
	u32 size = put_owner(value, &to);
	// A file system may drop an attribute without an error; the supervisor knows what to do.
	return write_record_fd(fd, value, size) == 0 && read_record_fd(fd, 0, 0) == size ? 0 : NOTIFY;
}

