// The stat family on files whose owner has been changed.
#include "call.h"
#include <sys/socket.h>

static void print(const char *how, const struct stat *st) {
	printf("  %s: %06o %u:%u size %ld links %ld\n", how, st->st_mode, st->st_uid, st->st_gid, (long)st->st_size, (long)st->st_nlink);
}

static void every_way(const char *path) {
	struct stat st;
	struct statx sx;
	int fd = must(open(path, O_RDONLY)), opath = must(open(path, O_PATH));
	must(stat(path, &st));
	print("stat", &st);
	must(lstat(path, &st));
	print("lstat", &st);
	must(fstat(fd, &st));
	print("fstat", &st);
	must(fstat(opath, &st));
	print("fstat of O_PATH", &st);
	must(fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT));
	print("fstatat", &st);
	must(fstatat(fd, "", &st, AT_EMPTY_PATH));
	print("fstatat of a descriptor", &st);
	must(statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_BASIC_STATS, &sx));
	printf("  statx: %06o %u:%u mask %x\n", sx.stx_mode, sx.stx_uid, sx.stx_gid, sx.stx_mask & STATX_BASIC_STATS);
	must(statx(fd, "", AT_EMPTY_PATH, STATX_UID, &sx));
	printf("  statx of a descriptor: %u\n", sx.stx_uid);
	close(fd);
	close(opath);
}

static void errors(void) {
	struct stat st;
	struct statx sx;
	char *end = end_of_page();
	int file = must(open("file", O_RDONLY));
	CALL(stat("", &st));
	CALL(stat("none", &st));
	CALL(stat("file/x", &st));
	CALL(stat("file/", &st));
	CALL(stat("loop", &st));
	CALL(lstat("loop", &st));
	CALL(stat(fill(256, 'x'), &st));
	CALL(stat(fill(4096, '/'), &st));
	CALL(syscall(SYS_newfstatat, AT_FDCWD, NULL, &st, 0));
	CALL(syscall(SYS_newfstatat, AT_FDCWD, "file", NULL, 0));
	CALL(syscall(SYS_newfstatat, AT_FDCWD, "file", read_only(), 0));
	CALL(syscall(SYS_newfstatat, AT_FDCWD, "file", end - 8, 0));
	CALL(syscall(SYS_newfstatat, AT_FDCWD, "none", NULL, 0));
	CALL(syscall(SYS_newfstatat, AT_FDCWD, "file", &st, AT_SYMLINK_FOLLOW));
	CALL(syscall(SYS_newfstatat, -1, "file", &st, 0));
	CALL(syscall(SYS_newfstatat, -1, "/", &st, 0));
	CALL(syscall(SYS_newfstatat, file, "x", &st, 0));
	CALL(syscall(SYS_newfstatat, file, "", &st, 0));
	CALL(syscall(SYS_newfstatat, -1, "", &st, AT_EMPTY_PATH));
	CALL(syscall(SYS_newfstatat, AT_FDCWD, "", &st, AT_EMPTY_PATH));
	CALL(syscall(SYS_newfstatat, file, NULL, &st, AT_EMPTY_PATH));
	CALL(syscall(SYS_fstat, file, NULL));
	CALL(syscall(SYS_fstat, file, read_only()));
	CALL(syscall(SYS_fstat, -1, &st));
	CALL(syscall(SYS_fstat, AT_FDCWD, &st));
	CALL(syscall(SYS_statx, AT_FDCWD, "file", 0, STATX_ALL, NULL));
	CALL(syscall(SYS_statx, AT_FDCWD, "file", 0, STATX_ALL, end - 8));
	CALL(syscall(SYS_statx, AT_FDCWD, "file", 0, 0x80000000, &sx));
	CALL(syscall(SYS_statx, AT_FDCWD, "file", AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC, STATX_ALL, &sx));
	CALL(syscall(SYS_statx, AT_FDCWD, "file", AT_SYMLINK_FOLLOW, STATX_ALL, &sx));
	CALL(syscall(SYS_statx, AT_FDCWD, "", 0, STATX_ALL, &sx));
	CALL(syscall(SYS_statx, file, NULL, AT_EMPTY_PATH, STATX_ALL, &sx));
	CALL(syscall(SYS_statx, -1, "file", 0, STATX_ALL, &sx));
}

int main(void) {
	struct stat st;
	int pipes[2], sockets[2];
	make_file("file", 0640);
	must(mkdir("dir", 0750));
	must(symlink("loop", "loop"));
	every_way("file");
	must(chown("file", 42, 43));
	must(chown("dir", 4294967294u, 33));
	every_way("file");
	every_way("dir");
	must(chmod("file", 0));
	every_way("file");
	errors();
	must(pipe(pipes));
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	must(fstat(pipes[0], &st));
	printf("  pipe: %u:%u\n", st.st_uid, st.st_gid);
	must(fstat(sockets[0], &st));
	printf("  socket: %u:%u\n", st.st_uid, st.st_gid);
	return 0;
}
