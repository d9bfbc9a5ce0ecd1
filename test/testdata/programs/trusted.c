// trusted.* attributes, which require CAP_SYS_ADMIN.
#include "call.h"
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/xattr.h>

static void list(const char *path) {
	char names[256];
	ssize_t n = CALL(listxattr(path, names, sizeof(names)));
	int seen[2] = {0, 0}; // the order depends on the file system
	for (ssize_t at = 0; at < n; at += strlen(names + at) + 1) {
		seen[0] += strcmp(names + at, "trusted.a") == 0;
		seen[1] += strcmp(names + at, "user.a") == 0;
	}
	printf("  trusted.a %d user.a %d\n", seen[0], seen[1]);
	CALL(listxattr(path, NULL, 0));
	CALL(listxattr(path, names, 3));
}

static void use(const char *path) {
	char value[8] = "";
	int fd = must(open(path, O_RDONLY)), opath = must(open(path, O_PATH));
	CALL(setxattr(path, "trusted.a", "xyz", 3, XATTR_REPLACE));
	CALL(setxattr(path, "trusted.a", "abc", 3, XATTR_CREATE));
	CALL(setxattr(path, "trusted.a", "abc", 3, XATTR_CREATE));
	CALL(setxattr(path, "trusted.", "abc", 3, 0));
	CALL(setxattr(path, "trusted.a", "abc", 3, 4));
	CALL(setxattr(path, "trusted.a", NULL, 3, 0));
	CALL(setxattr("none", "trusted.a", "abc", 3, 0));
	CALL(fsetxattr(opath, "trusted.a", "abc", 3, 0));
	CALL(getxattr(path, "trusted.a", value, sizeof(value)));
	printf("  %.3s\n", value);
	CALL(getxattr(path, "trusted.a", NULL, 0));
	CALL(getxattr(path, "trusted.a", value, 2));
	CALL(getxattr(path, "trusted.a", read_only(), 3));
	CALL(getxattr(path, "trusted.b", value, sizeof(value)));
	CALL(getxattr(path, "trusted.", value, sizeof(value)));
	CALL(getxattr("none", "trusted.a", value, sizeof(value)));
	CALL(lgetxattr(path, "trusted.a", value, sizeof(value)));
	CALL(fgetxattr(fd, "trusted.a", value, sizeof(value)));
	CALL(fgetxattr(opath, "trusted.a", value, sizeof(value)));
	CALL(fgetxattr(-1, "trusted.a", value, sizeof(value)));
	list(path);
	CALL(removexattr(path, "trusted.b"));
	CALL(removexattr("none", "trusted.a"));
	CALL(fremovexattr(opath, "trusted.a"));
	CALL(fremovexattr(fd, "trusted.a"));
	CALL(removexattr(path, "trusted.a"));
	CALL(setxattr(path, "trusted.a", "", 0, 0));
	CALL(getxattr(path, "trusted.a", value, sizeof(value)));
	close(fd);
	close(opath);
}

// as runs use and list with these capabilities as user 33, which may not write the file.
static void as(unsigned caps) {
	printf("as 33 with %x\n", caps);
	fflush(stdout);
	pid_t pid = must(fork());
	if (pid == 0) {
		struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
		struct __user_cap_data_struct data[2] = {{caps, caps, 0}, {0, 0, 0}};
		must(prctl(PR_SET_KEEPCAPS, 1));
		must(setresuid(33, 33, 33));
		must(syscall(SYS_capset, &header, data));
		use("file");
		list("file");
		fflush(stdout);
		_exit(0);
	}
	reap(pid);
}

int main(void) {
	make_file("file", 0644);
	must(mkdir("dir", 0755));
	must(mkdir("sticky", 01777));
	must(chown("dir", 42, 42));
	must(setxattr("file", "user.a", "1", 1, 0));
	use("file");
	use("dir");
	use("sticky");
	list("file");
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d/file", must(open(".", O_PATH)));
	list(path);
	use(path);
	as(0);
	as(1 << CAP_SYS_ADMIN);
	show("file");
	show("dir");
	return 0;
}
