// Calls that read the status of a file: stat(2) and its relatives.
#include "answer.h"

long stat_at(int dirfd, u64 path, u64 st, u32 flags) {
	long r = fast(__NR_newfstatat, dirfd, path, st, flags, 0);
	if (r)
		return denied(r) ? NOTIFY : r;
	return unrecorded(read_record(dirfd, path, flags, 0, 0), ((struct stat *)st)->mode) ? 0 : NOTIFY;
}

long stat_fd(int fd, u64 st) {
	long r = fast(__NR_fstat, fd, st, 0, 0, 0);
	if (r)
		return denied(r) ? NOTIFY : r;
	return unrecorded(read_record_fd(fd, 0, 0), ((struct stat *)st)->mode) ? 0 : NOTIFY;
}

long stat_x(int dirfd, u64 path, u32 flags, u32 mask, u64 buffer) {
	long r = fast(__NR_statx, dirfd, path, flags, mask, buffer);
	if (r)
		return denied(r) ? NOTIFY : r;
	u32 known = *(u32 *)buffer, mode = *(u16 *)(buffer + 28);
	return known & STATX_TYPE && unrecorded(read_record(dirfd, path, flags, 0, 0), mode) ? 0 : NOTIFY;
}
