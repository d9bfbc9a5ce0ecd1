// Calls that change mode, owner and times of an inode.
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

long chown_fd(int fd, u32 uid, u32 gid) {
	// With AT_EMPTY_PATH, fchownat(2) accepts descriptors that fchown(2) does not; read_record
	// refuses them.
	return chown_at(fd, (u64)"", uid, gid, AT_EMPTY_PATH);
}

long set_times(int dirfd, u64 path, u64 times, u32 flags) {
	struct stat st;
	// By descriptor, the supervisor answers for devices of the host.
	if (!path && (fast(__NR_fstat, dirfd, (u64)&st, 0, 0, 0) != 0 || !(is_regular(st.mode) || is_directory(st.mode))))
		return NOTIFY;
	return change(__NR_utimensat, dirfd, path, times, flags, 0);
}
