#include "answer.h"

// notify makes a call in the ordinary way. A signal may interrupt it before the supervisor has
// received it: then nothing has happened, the handler has run, and the call is made again. None of
// the calls fails with EINTR otherwise, except those that open, which wait for others at a FIFO, and
// those on a file system whose server says so. That may say it for ever; signals do not.
static long notify(long nr, const struct arguments *a) {
	long r;
	int again = nr == __NR_open || nr == __NR_openat || nr == __NR_creat ? 0 : 100;
	do
		r = slow(nr, a);
	while (r == -EINTR && again--);
	return r;
}

// copies_path reports whether the function that answers a call calls plain_parent.
static int copies_path(long nr, const struct arguments *a) {
	switch (nr) {
	case __NR_open:
		return a->rsi & O_CREAT;
	case __NR_openat:
		return a->rdx & O_CREAT;
	case __NR_creat:
	case __NR_mkdir:
	case __NR_mkdirat:
	case __NR_symlink:
	case __NR_symlinkat:
		return 1;
	}
	return 0;
}

long answer(long nr, const struct arguments *a, u64 stack) {
	long r = NOTIFY;
	if (header.off || (copies_path(nr, a) && (u64)a - stack < STACK_OF_NAMES))
		return notify(nr, a);
	switch (nr) {
	case __NR_stat:
		r = stat_at(AT_FDCWD, a->rdi, a->rsi, 0);
		break;
	case __NR_lstat:
		r = stat_at(AT_FDCWD, a->rdi, a->rsi, AT_SYMLINK_NOFOLLOW);
		break;
	case __NR_newfstatat:
		r = stat_at(a->rdi, a->rsi, a->rdx, a->r10);
		break;
	case __NR_fstat:
		r = stat_fd(a->rdi, a->rsi);
		break;
	case __NR_statx:
		r = stat_x(a->rdi, a->rsi, a->rdx, a->r10, a->r8);
		break;
	case __NR_open:
		r = open_at(AT_FDCWD, a->rdi, a->rsi, a->rdx);
		break;
	case __NR_openat:
		r = open_at(a->rdi, a->rsi, a->rdx, a->r10);
		break;
	case __NR_creat:
		r = open_at(AT_FDCWD, a->rdi, O_CREAT | O_WRONLY | O_TRUNC, a->rsi);
		break;
	case __NR_mkdir:
		r = make_directory(AT_FDCWD, a->rdi, a->rsi);
		break;
	case __NR_mkdirat:
		r = make_directory(a->rdi, a->rsi, a->rdx);
		break;
	case __NR_symlink:
		r = make_link(a->rdi, AT_FDCWD, a->rsi);
		break;
	case __NR_symlinkat:
		r = make_link(a->rdi, a->rsi, a->rdx);
		break;
	case __NR_unlink:
		r = remove_at(AT_FDCWD, a->rdi, 0);
		break;
	case __NR_rmdir:
		r = remove_at(AT_FDCWD, a->rdi, AT_REMOVEDIR);
		break;
	case __NR_unlinkat:
		r = remove_at(a->rdi, a->rsi, a->rdx);
		break;
	case __NR_rename:
		r = rename_at(AT_FDCWD, a->rdi, AT_FDCWD, a->rsi, 0);
		break;
	case __NR_renameat:
		r = rename_at(a->rdi, a->rsi, a->rdx, a->r10, 0);
		break;
	case __NR_renameat2:
		r = rename_at(a->rdi, a->rsi, a->rdx, a->r10, a->r8);
		break;
	case __NR_link:
		r = change(__NR_linkat, AT_FDCWD, a->rdi, AT_FDCWD, a->rsi, 0);
		break;
	case __NR_linkat:
		r = change(__NR_linkat, a->rdi, a->rsi, a->rdx, a->r10, a->r8);
		break;
	case __NR_chmod:
		r = chmod_at(AT_FDCWD, a->rdi, a->rsi);
		break;
	case __NR_fchmod:
		r = chmod_fd(a->rdi, a->rsi);
		break;
	case __NR_fchmodat:
		r = chmod_at(a->rdi, a->rsi, a->rdx);
		break;
	case __NR_fchmodat2:
		if (!(u32)a->r10)
			r = chmod_at(a->rdi, a->rsi, a->rdx);
		break;
	case __NR_chown:
		r = chown_at(AT_FDCWD, a->rdi, a->rsi, a->rdx, 0);
		break;
	case __NR_lchown:
		r = chown_at(AT_FDCWD, a->rdi, a->rsi, a->rdx, AT_SYMLINK_NOFOLLOW);
		break;
	case __NR_fchown:
		r = chown_fd(a->rdi, a->rsi, a->rdx);
		break;
	case __NR_fchownat:
		r = chown_at(a->rdi, a->rsi, a->rdx, a->r10, a->r8);
		break;
	case __NR_utimensat:
		// For devices of the host, the kernel refuses it, and the supervisor does not.
		r = change(__NR_utimensat, a->rdi, a->rsi, a->rdx, a->r10, 0);
		break;
	case __NR_getxattr:
	case __NR_lgetxattr:
	case __NR_fgetxattr:
		r = get_attribute(nr, a->rdi, a->rsi, a->rdx, a->r10);
		break;
	case __NR_listxattr:
		r = has_attributes(AT_FDCWD, a->rdi, 0) ? NOTIFY : 0;
		break;
	case __NR_llistxattr:
		r = has_attributes(AT_FDCWD, a->rdi, AT_SYMLINK_NOFOLLOW) ? NOTIFY : 0;
		break;
	case __NR_flistxattr:
		r = has_attributes(a->rdi, (u64)"", AT_EMPTY_PATH) ? NOTIFY : 0;
		break;
	case __NR_fsetxattr:
		r = set_acl(a->rdi, a->rsi, a->rdx, a->r10, a->r8);
		break;
	case __NR_getdents64:
		r = list_directory(a->rdi, a->rsi, a->rdx);
		break;
	case __NR_access:
		r = ask(__NR_faccessat, AT_FDCWD, a->rdi, a->rsi, 0, 0);
		break;
	case __NR_readlink:
		r = ask(__NR_readlinkat, AT_FDCWD, a->rdi, a->rsi, a->rdx, 0);
		break;
	case __NR_faccessat:
	case __NR_faccessat2:
	case __NR_readlinkat:
	case __NR_chdir:
	case __NR_fchdir:
	case __NR_statfs:
	case __NR_getuid:
	case __NR_geteuid:
	case __NR_getgid:
	case __NR_getegid:
		// Only permissions matter, and the caller has all.
		r = ask(nr, a->rdi, a->rsi, a->rdx, a->r10, a->r8);
		break;
	}
	return r == NOTIFY ? notify(nr, a) : r;
}
