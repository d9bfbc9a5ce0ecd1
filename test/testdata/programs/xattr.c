// Extended attributes of a file whose owner has been changed: the record must be
// invisible, and all other attributes must work as usual.
#include "call.h"
#include <sys/xattr.h>

enum { SETXATTRAT = 463, GETXATTRAT, LISTXATTRAT, REMOVEXATTRAT };

struct args { // struct xattr_args of linux/xattr.h
	uint64_t value;
	uint32_t size, flags;
};

#define HIDDEN "user.rootlesscontainers"

static void list(void) {
	char names[256];
	ssize_t n = CALL(listxattr("file", names, sizeof(names)));
	for (ssize_t at = 0; at < n; at += strlen(names + at) + 1)
		printf("  %s\n", names + at);
}

static void hidden(void) {
	char value[64];
	int fd = must(open("file", O_RDONLY));
	CALL(getxattr("file", HIDDEN, value, sizeof(value)));
	CALL(getxattr("file", HIDDEN, NULL, 0));
	CALL(lgetxattr("file", HIDDEN, value, sizeof(value)));
	CALL(fgetxattr(fd, HIDDEN, value, sizeof(value)));
	CALL(removexattr("file", HIDDEN));
	CALL(lremovexattr("file", HIDDEN));
	CALL(fremovexattr(fd, HIDDEN));
	CALL(listxattr("file", NULL, 0));
	CALL(llistxattr("file", NULL, 0));
	CALL(flistxattr(fd, NULL, 0));
	close(fd);
}

static void sizes(void) {
	char names[256], value[8];
	CALL(listxattr("file", names, 1));
	CALL(listxattr("file", names, sizeof("user.a") - 1));
	CALL(listxattr("file", names, sizeof("user.a")));
	CALL(listxattr("file", names, sizeof("user.a") + sizeof("user.z") - 1));
	CALL(listxattr("file", names, sizeof("user.a") + sizeof("user.z")));
	CALL(listxattr("file", NULL, sizeof(names)));
	CALL(listxattr("file", read_only(), 256));
	CALL(getxattr("file", "user.a", value, 2));
	CALL(getxattr("file", "user.a", value, 3));
	CALL(getxattr("file", "user.a", NULL, 8));
}

static void errors(void) {
	char value[8];
	CALL(setxattr("file", "user.a", "1", 1, XATTR_CREATE));
	CALL(setxattr("file", "user.none", "1", 1, XATTR_REPLACE));
	CALL(setxattr("file", "user.a", "1", 1, 4));
	CALL(setxattr("file", "user.a", "1", 65537, 0));
	CALL(setxattr("file", "user.a", NULL, 1, 0));
	CALL(setxattr("file", "unknown.a", "1", 1, 0));
	CALL(setxattr("file", "user.", "1", 1, 0));
	CALL(setxattr("file", "", "1", 1, 0));
	CALL(setxattr("file", NULL, "1", 1, 0));
	CALL(setxattr("file", fill(256, 'x'), "1", 1, 0));
	CALL(getxattr("file", "user.none", value, sizeof(value)));
	CALL(getxattr("file", "", value, sizeof(value)));
	CALL(getxattr("none", "user.a", value, sizeof(value)));
	CALL(getxattr("", "user.a", value, sizeof(value)));
	CALL(getxattr(NULL, "user.a", value, sizeof(value)));
	CALL(getxattr("none", HIDDEN, value, sizeof(value)));
	CALL(getxattr(NULL, HIDDEN, value, sizeof(value)));
	CALL(fgetxattr(-1, HIDDEN, value, sizeof(value)));
	CALL(fgetxattr(must(open("file", O_PATH)), HIDDEN, value, sizeof(value)));
	CALL(flistxattr(must(open("file", O_PATH)), value, sizeof(value)));
	CALL(removexattr("none", HIDDEN));
	CALL(listxattr("none", value, sizeof(value)));
	CALL(llistxattr("link", value, sizeof(value)));
	CALL(lgetxattr("link", HIDDEN, value, sizeof(value)));
	CALL(getxattr("link", HIDDEN, value, sizeof(value)));
	CALL(lsetxattr("link", "user.a", "1", 1, 0));
	CALL(getxattr("fifo", HIDDEN, value, sizeof(value)));
	CALL(removexattr("fifo", HIDDEN));
	CALL(removexattr("fifo", "user.a"));
}

// at makes the calls of Linux 6.13. Older kernels return ENOSYS on both sides.
static void at(void) {
	char value[64];
	struct args get = {(uintptr_t)value, sizeof(value), 0}, set = {(uintptr_t) "xyz", 3, 0}, none = {0, 0, 0}, odd = {(uintptr_t)value, 64, 1};
	int fd = must(open("file", O_RDONLY)), dir = must(open(".", O_PATH));
	CALL(syscall(SETXATTRAT, dir, "file", 0, "user.a", &set, sizeof(set)));
	CALL(syscall(GETXATTRAT, dir, "file", 0, "user.a", &get, sizeof(get)));
	CALL(syscall(GETXATTRAT, fd, "", AT_EMPTY_PATH, "user.a", &get, sizeof(get)));
	CALL(syscall(GETXATTRAT, fd, "", AT_EMPTY_PATH, HIDDEN, &get, sizeof(get)));
	CALL(syscall(GETXATTRAT, dir, "file", AT_SYMLINK_NOFOLLOW, HIDDEN, &none, sizeof(none)));
	CALL(syscall(GETXATTRAT, dir, "file", 0, HIDDEN, &odd, sizeof(odd)));
	CALL(syscall(GETXATTRAT, dir, "file", 0, "user.a", &get, 8));
	CALL(syscall(GETXATTRAT, dir, "file", AT_NO_AUTOMOUNT, "user.a", &get, sizeof(get)));
	CALL(syscall(REMOVEXATTRAT, dir, "file", 0, HIDDEN));
	CALL(syscall(LISTXATTRAT, dir, "file", 0, NULL, 0));
	CALL(syscall(LISTXATTRAT, fd, "", AT_EMPTY_PATH, value, sizeof(value)));
	fd = must(open("file", O_PATH));
	CALL(syscall(GETXATTRAT, fd, "", AT_EMPTY_PATH, HIDDEN, &none, sizeof(none)));
	CALL(syscall(LISTXATTRAT, fd, "", AT_EMPTY_PATH, value, sizeof(value)));
	CALL(syscall(REMOVEXATTRAT, fd, "", AT_EMPTY_PATH, HIDDEN));
	CALL(syscall(LISTXATTRAT, dir, "link", AT_SYMLINK_NOFOLLOW, value, sizeof(value)));
	CALL(syscall(REMOVEXATTRAT, dir, "file", 0, "user.a"));
}

int main(void) {
	make_file("file", 0644);
	must(symlink("file", "link"));
	must(mkfifo("fifo", 0644));
	must(chown("file", 42, 42));
	must(lchown("link", 42, 42));
	must(chown("fifo", 42, 42));
	list();
	hidden();
	must(setxattr("file", "user.a", "abc", 3, 0));
	must(setxattr("file", "user.z", "", 0, 0));
	list();
	hidden();
	sizes();
	errors();
	at();
	list();
	show("file");
	return 0;
}
