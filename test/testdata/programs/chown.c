// The chown family: the order of its errors, and the owners afterwards.
#include "call.h"

static long raw_fchownat(int dir, const char *path, uid_t uid, gid_t gid, int flags) {
	return syscall(SYS_fchownat, dir, path, uid, gid, flags);
}

static void bad_paths(void) {
	char *end = end_of_page();
	CALL(chown("", 1, 1));
	CALL(chown(NULL, 1, 1));
	CALL(chown((char *)1, 1, 1));
	CALL(chown("none", 1, 1));
	CALL(chown("none/file", 1, 1));
	CALL(chown("file/x", 1, 1));
	CALL(chown("file/", 1, 1));
	CALL(chown("file/.", 1, 1));
	CALL(chown("loop", 1, 1));
	CALL(chown("loop/x", 1, 1));
	CALL(lchown("loop", 1, 1));
	CALL(chown("dangling", 1, 1));
	CALL(lchown("dangling", 3, 4));
	show("dangling");
	CALL(chown(fill(255, 'x'), 1, 1));
	CALL(chown(fill(256, 'x'), 1, 1));
	CALL(chown(fill(4095, '/'), -1, -1));
	CALL(chown(fill(4096, '/'), -1, -1));
	CALL(chown(fill(5000, '/'), -1, -1));
	// A path may end at the end of the memory, but not beyond it.
	memcpy(end - 5, "file", 5);
	CALL(chown(end - 5, 7, 8));
	show("file");
	memcpy(end - 4, "file", 4);
	CALL(chown(end - 4, 9, 9));
	show("file");
}

static void merging(void) {
	CALL(chown("file", 42, 43));
	show("file");
	CALL(chown("file", -1, 44));
	show("file");
	CALL(chown("file", 45, -1));
	show("file");
	CALL(chown("file", -1, -1));
	show("file");
	CALL(chown("file", 0, -1));
	show("file");
	CALL(chown("file", 4294967294u, 2147483648u));
	show("file");
	CALL(chown("file", 0, 0));
	show("file");
	CALL(chown("dir", 65534, 65535));
	show("dir");
	CALL(chown("dir/", 65536, 1));
	show("dir");
}

static void links(void) {
	CALL(chown("link", 10, 11));
	show("link");
	show("file");
	CALL(lchown("link", 12, 13));
	show("link");
	show("file");
	CALL(raw_fchownat(AT_FDCWD, "link", 14, -1, AT_SYMLINK_NOFOLLOW));
	show("link");
	CALL(raw_fchownat(AT_FDCWD, "link", 15, -1, 0));
	show("link");
	show("file");
	CALL(lchown("dirlink/", 16, 17));
	show("dirlink");
	show("dir");
	CALL(chown("fifo", 18, 19));
	show("fifo");
}

static void descriptors(void) {
	int file = must(open("file", O_RDONLY)), dir = must(open("dir", O_RDONLY));
	int path = must(open("file", O_PATH)), link = must(open("link", O_PATH | O_NOFOLLOW));
	int closed = dup(file);
	close(closed);
	CALL(fchown(file, 20, 21));
	show("file");
	CALL(fchown(closed, 1, 1));
	CALL(fchown(-1, 1, 1));
	CALL(fchown(path, 1, 1));
	CALL(fchown(AT_FDCWD, 1, 1));
	show("file");
	CALL(raw_fchownat(path, "", 22, 23, AT_EMPTY_PATH));
	show("file");
	CALL(raw_fchownat(link, "", 24, 25, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW));
	show("link");
	CALL(raw_fchownat(file, "", 1, 1, 0));
	CALL(raw_fchownat(file, "x", 1, 1, 0));
	CALL(raw_fchownat(closed, "", 1, 1, AT_EMPTY_PATH));
	CALL(raw_fchownat(closed, "file", 1, 1, 0));
	CALL(raw_fchownat(closed, "/", -1, -1, 0));
	CALL(raw_fchownat(dir, "inside", 26, 27, 0));
	show("dir/inside");
	CALL(raw_fchownat(dir, "../file", 28, 29, AT_EMPTY_PATH));
	show("file");
	CALL(raw_fchownat(AT_FDCWD, "", 30, 31, AT_EMPTY_PATH));
	show(".");
	CALL(raw_fchownat(file, NULL, 1, 1, AT_EMPTY_PATH));
	CALL(raw_fchownat(AT_FDCWD, "file", 1, 1, AT_NO_AUTOMOUNT));
	CALL(raw_fchownat(AT_FDCWD, "file", 1, 1, 0x80000000));
	CALL(raw_fchownat(AT_FDCWD, "none", 1, 1, AT_SYMLINK_FOLLOW));
	show("file");
}

// unnamed changes owners of files that have no name, or no longer have one.
static void unnamed(void) {
	struct stat st;
	int pipes[2], gone = must(open("gone", O_CREAT | O_RDWR, 0644)), tmp = must(open(".", O_TMPFILE | O_RDWR, 0600));
	must(unlink("gone"));
	must(pipe(pipes));
	CALL(fchown(gone, 50, 51));
	must(fstat(gone, &st));
	printf("  gone: %u:%u\n", st.st_uid, st.st_gid);
	CALL(fchown(tmp, 52, 53));
	must(fstat(tmp, &st));
	printf("  unnamed: %u:%u\n", st.st_uid, st.st_gid);
	CALL(fchown(pipes[0], 54, 55));
	must(fstat(pipes[1], &st));
	printf("  pipe: %u:%u\n", st.st_uid, st.st_gid);
	must(dup2(gone, 9));
	CALL(chown("/proc/self/fd/9", 56, 57));
	CALL(chown("/dev/fd/9", -1, 58));
	must(fstat(gone, &st));
	printf("  gone: %u:%u\n", st.st_uid, st.st_gid);
}

int main(void) {
	make_file("file", 0644);
	must(mkdir("dir", 0755));
	make_file("dir/inside", 0644);
	must(symlink("file", "link"));
	must(symlink("dir", "dirlink"));
	must(symlink("loop", "loop"));
	must(symlink("none", "dangling"));
	must(mkfifo("fifo", 0644));
	bad_paths();
	merging();
	links();
	descriptors();
	unnamed();
	return 0;
}
