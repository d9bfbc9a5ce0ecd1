// trusted.* and security.* attributes of inodes of every type, including those that cannot
// have user.* attributes.
#include "call.h"
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

static const char *const names[] = {"trusted.a", "security.a", "security.ima", "security.evm", "security.SMACK64", "user.a"};
enum { NAMES = sizeof(names) / sizeof(names[0]) };

// list prints which of the names the file has. Their order depends on the file system.
static void list(const char *path) {
	char list[512];
	int seen[NAMES] = {0}, others = 0;
	ssize_t n = CALL(llistxattr(path, list, sizeof(list)));
	for (ssize_t at = 0; at < n; at += strlen(list + at) + 1) {
		int known = 0;
		for (int i = 0; i < NAMES; i++) {
			if (strcmp(list + at, names[i]) == 0) {
				seen[i]++;
				known = 1;
			}
		}
		others += !known;
	}
	printf(" ");
	for (int i = 0; i < NAMES; i++)
		printf(" %s %d", names[i], seen[i]);
	printf(" others %d\n", others);
	CALL(llistxattr(path, NULL, 0));
	CALL(llistxattr(path, list, 3));
	CALL(llistxattr(path, read_only(), 512));
}

static void use(const char *path, const char *name) {
	char value[8] = "";
	printf("%s of %s\n", name, path);
	CALL(lgetxattr(path, name, value, sizeof(value)));
	CALL(lremovexattr(path, name));
	CALL(lsetxattr(path, name, "abc", 3, XATTR_REPLACE));
	CALL(lsetxattr(path, name, "abc", 3, XATTR_CREATE));
	CALL(lsetxattr(path, name, "abc", 3, XATTR_CREATE));
	CALL(lsetxattr(path, name, "xyz", 3, XATTR_REPLACE));
	CALL(lsetxattr(path, name, "abc", 3, 4));
	CALL(lsetxattr(path, name, NULL, 3, 0));
	CALL(lsetxattr("none", name, "abc", 3, 0));
	CALL(lgetxattr(path, name, value, sizeof(value)));
	printf("  %.3s\n", value);
	CALL(lgetxattr(path, name, NULL, 0));
	CALL(lgetxattr(path, name, value, 2));
	CALL(lgetxattr(path, name, read_only(), 3));
	list(path);
	CALL(lremovexattr(path, name));
	CALL(lremovexattr(path, name));
	CALL(lgetxattr(path, name, value, sizeof(value)));
	CALL(lsetxattr(path, name, "", 0, 0));
	CALL(lgetxattr(path, name, value, sizeof(value)));
}

static void use_all(const char *path) {
	for (int i = 0; i < NAMES; i++)
		use(path, names[i]);
	list(path);
	CALL(lsetxattr(path, "security.", "abc", 3, 0));
	CALL(lsetxattr(path, "security", "abc", 3, 0));
	CALL(lsetxattr(path, "trusted.", "abc", 3, 0));
	CALL(lremovexattr(path, "security."));
	CALL(lgetxattr(path, "security.", NULL, 0));
	show(path);
}

// as runs use with these capabilities as user 33.
static void as(const char *path, unsigned caps) {
	printf("as 33 with %x\n", caps);
	fflush(stdout);
	pid_t pid = must(fork());
	if (pid == 0) {
		struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
		struct __user_cap_data_struct data[2] = {{caps, caps, 0}, {0, 0, 0}};
		must(prctl(PR_SET_KEEPCAPS, 1));
		must(setresuid(33, 33, 33));
		must(syscall(SYS_capset, &header, data));
		list(path);
		use(path, "security.a");
		use(path, "security.b");
		use(path, "trusted.a");
		fflush(stdout);
		_exit(0);
	}
	reap(pid);
}

int main(void) {
	static const char *const kinds[] = {"file", "dir", "link", "fifo", "socket", "null", "zero", "disk", "whiteout"};
	umask(022);
	make_file("file", 0644);
	must(mkdir("dir", 0755));
	must(symlink("file", "link"));
	must(mkfifo("fifo", 0644));
	must(mknod("socket", S_IFSOCK | 0644, 0));
	must(mknod("null", S_IFCHR | 0666, makedev(1, 3)));
	must(mknod("zero", S_IFCHR | 0666, makedev(1, 5)));
	must(mknod("disk", S_IFBLK | 0660, makedev(8, 1)));
	must(mknod("whiteout", S_IFCHR, 0));
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		use_all(kinds[i]);
		as(kinds[i], 0);
		as(kinds[i], 1 << CAP_SYS_ADMIN);
		CALL(lchown(kinds[i], 7, 8));
		CALL(lchown(kinds[i], -1, 0));
		use_all(kinds[i]);
		CALL(rename(kinds[i], "moved"));
		CALL(link("moved", kinds[i]));
		list(kinds[i]);
		CALL(unlink("moved"));
		show(kinds[i]);
	}

	// By descriptor, and through links.
	char path[64];
	int fd = must(open("fifo", O_RDWR)), opath = must(open("fifo", O_PATH)), pipes[2];
	CALL(fsetxattr(fd, "trusted.fd", "1", 1, 0));
	CALL(fsetxattr(fd, "security.fd", "1", 1, 0));
	CALL(fgetxattr(fd, "trusted.fd", path, sizeof(path)));
	CALL(fgetxattr(fd, "security.fd", path, sizeof(path)));
	CALL(flistxattr(fd, path, sizeof(path)));
	CALL(fremovexattr(fd, "trusted.fd"));
	CALL(fremovexattr(fd, "security.fd"));
	CALL(fsetxattr(opath, "trusted.fd", "1", 1, 0));
	CALL(fsetxattr(opath, "security.fd", "1", 1, 0));
	CALL(fgetxattr(opath, "security.a", path, sizeof(path)));
	CALL(flistxattr(opath, path, sizeof(path)));
	snprintf(path, sizeof(path), "/proc/self/fd/%d/link", must(open(".", O_PATH)));
	CALL(lsetxattr(path, "trusted.self", "1", 1, 0));
	list(path);
	CALL(setxattr(path, "security.self", "1", 1, 0));
	CALL(getxattr("file", "security.self", NULL, 0));
	CALL(lgetxattr("link", "security.self", NULL, 0));
	CALL(lgetxattr("link", "trusted.self", NULL, 0));
	must(pipe(pipes));
	CALL(fsetxattr(pipes[0], "trusted.a", "1", 1, 0));
	CALL(fgetxattr(pipes[0], "trusted.a", NULL, 0));
	CALL(fsetxattr(pipes[0], "security.a", "1", 1, 0));
	CALL(fgetxattr(pipes[0], "security.a", NULL, 0));
	CALL(fremovexattr(pipes[0], "trusted.a"));

	CALL(truncate("null", 0));
	CALL(truncate("null", 5));
	CALL(truncate("null", -1));
	CALL(truncate("zero", 0));
	return 0;
}
