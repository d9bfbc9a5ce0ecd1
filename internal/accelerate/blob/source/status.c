// Calls that read the status of a file: stat(2) and its relatives.
#include "answer.h"

// show puts the recorded owner of a file with this mode in the place of the kernel's. R is the
// result of reading the record into value.
static long show(long r, const u8 *value, u32 mode, u32 *uid, u32 *gid) {
	struct owner o;
	if (!owned(r, value, mode, &o))
		return NOTIFY;
	if (o.uid != NO_ID)
		*uid = o.uid;
	if (o.gid != NO_ID)
		*gid = o.gid;
	return 0;
}

long stat_at(int dirfd, u64 path, u64 buffer, u32 flags) {
	struct stat *st = (struct stat *)buffer;
	u8 value[OWNER_SIZE];
	long r = fast(__NR_newfstatat, dirfd, path, buffer, flags, 0);
	if (r)
		return denied(r) ? NOTIFY : r;
	return show(read_record(dirfd, path, flags, value, sizeof(value)), value, st->mode, &st->uid, &st->gid);
}

long stat_fd(int fd, u64 buffer) {
	struct stat *st = (struct stat *)buffer;
	u8 value[OWNER_SIZE];
	long r = fast(__NR_fstat, fd, buffer, 0, 0, 0);
	if (r)
		return denied(r) ? NOTIFY : r;
	return show(read_record_fd(fd, value, sizeof(value)), value, st->mode, &st->uid, &st->gid);
}

long stat_x(int dirfd, u64 path, u32 flags, u32 mask, u64 buffer) {
	struct statx *st = (struct statx *)buffer;
	u8 value[OWNER_SIZE];
	long r = fast(__NR_statx, dirfd, path, flags, mask, buffer);
	if (r)
		return denied(r) ? NOTIFY : r;
	if (!(st->mask & STATX_TYPE))
		return NOTIFY;
	return show(read_record(dirfd, path, flags, value, sizeof(value)), value, st->mode, &st->uid, &st->gid);
}
