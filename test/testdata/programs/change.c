// Permission to change the mode, the owner, the times and the attributes of a file.
#include "call.h"
#include <grp.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <utime.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

struct kernel_timespec {
	long long sec, nsec;
};

static const char acl[] = "\2\0\0\0" // user::rw-, group::r--, other::r--
	"\1\0\6\0\377\377\377\377" "\4\0\4\0\377\377\377\377" "\40\0\4\0\377\377\377\377";
static const char unordered[] = "\2\0\0\0"
	"\4\0\4\0\377\377\377\377" "\1\0\6\0\377\377\377\377" "\40\0\4\0\377\377\377\377";
static const char granting[] = "\2\0\0\0" // user:1001:rw-, group:7:r--
	"\1\0\6\0\377\377\377\377" "\2\0\6\0\351\3\0\0" "\4\0\4\0\377\377\377\377" "\10\0\4\0\7\0\0\0"
	"\20\0\6\0\377\377\377\377" "\40\0\4\0\377\377\377\377";
// cap_net_raw=p, in the formats of VFS_CAP_REVISION_2 and 1.
static const uint32_t capability[] = {0x02000000, 1 << 13, 0, 0, 0}, old_capability[] = {0x01000000, 1 << 13, 0};

static void modes(const char *name, int fd) {
	int path = must(open(name, O_PATH));
	CALL(chmod(name, 0640));
	show(name);
	CALL(chmod(name, 06755));
	show(name);
	CALL(chmod(name, 02644));
	show(name);
	CALL(fchmod(fd, 0604));
	CALL(fchmod(path, 0600));
	CALL(syscall(SYS_fchmodat, AT_FDCWD, name, 0644));
	CALL(syscall(SYS_fchmodat2, AT_FDCWD, name, 0600, AT_SYMLINK_NOFOLLOW));
	CALL(syscall(SYS_fchmodat2, path, "", 0644, AT_EMPTY_PATH));
	CALL(syscall(SYS_fchmodat2, path, NULL, 0644, AT_EMPTY_PATH));
	CALL(syscall(SYS_fchmodat2, AT_FDCWD, name, 0600, 1));
	show(name);
	close(path);
}

static void owners(const char *name) {
	CALL(chown(name, -1, -1));
	CALL(chown(name, -1, 1000));
	show(name);
	CALL(chown(name, 1000, 8));
	show(name);
	CALL(chown(name, -1, 9));
	CALL(chown(name, 1001, -1));
	CALL(chown(name, 0, 0));
	show(name);
}

static void show_times(const char *name) {
	struct stat st;
	time_t now = time(NULL);
	must(stat(name, &st));
	printf("  %s: %lld %s\n", name, (long long)st.st_atime > now - 1000 ? -1 : (long long)st.st_atime, st.st_mtime > now - 1000 ? "now" : "then");
}

static void times(const char *name, int fd) {
	struct utimbuf utim = {1, 2};
	struct timeval tv[2] = {{3, 4}, {5, 6}}, bad_tv[2] = {{3, 4}, {5, 1000000}};
	struct timespec ts[2] = {{7, 8}, {9, 10}}, now[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}}, omit[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}},
			one[2] = {{0, UTIME_NOW}, {0, UTIME_OMIT}}, bad[2] = {{0, 0}, {0, 1000000000}};
	int path = must(open(name, O_PATH));
#ifdef SYS_utime
	CALL(syscall(SYS_utime, name, &utim));
	show_times(name);
	CALL(syscall(SYS_utime, name, NULL));
	show_times(name);
	CALL(syscall(SYS_utimes, name, tv));
	show_times(name);
	CALL(syscall(SYS_utimes, name, bad_tv));
	CALL(syscall(SYS_utimes, name, NULL));
	CALL(syscall(SYS_futimesat, AT_FDCWD, name, tv));
	show_times(name);
	CALL(syscall(SYS_futimesat, fd, NULL, NULL));
	show_times(name);
	CALL(syscall(SYS_utimes, name, 8));
	CALL(syscall(SYS_utimes, NULL, tv));
#else
	(void)utim;
	(void)tv;
	(void)bad_tv;
#endif
	CALL(syscall(SYS_utimensat, AT_FDCWD, name, ts, 0));
	show_times(name);
	CALL(syscall(SYS_utimensat, AT_FDCWD, name, now, AT_SYMLINK_NOFOLLOW));
	show_times(name);
	CALL(syscall(SYS_utimensat, AT_FDCWD, name, one, 0));
	CALL(syscall(SYS_utimensat, AT_FDCWD, name, omit, 0));
	CALL(syscall(SYS_utimensat, AT_FDCWD, "none", omit, 0));
	CALL(syscall(SYS_utimensat, AT_FDCWD, name, bad, 0));
	CALL(syscall(SYS_utimensat, AT_FDCWD, "none", bad, 0));
	CALL(syscall(SYS_utimensat, AT_FDCWD, name, 8, 0));
	CALL(syscall(SYS_utimensat, AT_FDCWD, name, now, 1));
	CALL(syscall(SYS_utimensat, fd, NULL, ts, 0));
	CALL(syscall(SYS_utimensat, fd, NULL, ts, AT_SYMLINK_NOFOLLOW));
	CALL(syscall(SYS_utimensat, AT_FDCWD, NULL, ts, 0));
	CALL(syscall(SYS_utimensat, path, NULL, ts, 0));
	CALL(syscall(SYS_utimensat, path, "", ts, AT_EMPTY_PATH));
	CALL(syscall(SYS_utimensat, fd, NULL, NULL, 0));
	show_times(name);
#ifdef SYS_utimensat_time64
	struct kernel_timespec wide[2] = {{11, (1LL << 32) + 12}, {13, 14}}, wide_now[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
	CALL(syscall(SYS_utimensat_time64, AT_FDCWD, name, wide, 0));
	show_times(name);
	CALL(syscall(SYS_utimensat_time64, AT_FDCWD, name, wide_now, 0));
	show_times(name);
#endif
	close(path);
}

static void attributes(const char *name, int fd) {
	char value[64];
	CALL(setxattr(name, "user.a", "1", 1, 0));
	CALL(setxattr(name, "user.a", "2", 1, XATTR_CREATE));
	CALL(setxattr(name, "user.a", "2", 1, 8));
	CALL(setxattr(name, "user.a", end_of_page(), 1, 0));
	CALL(fsetxattr(fd, "user.b", "2", 1, 0));
	CALL(setxattr("none", "user.a", "2", 1, 0));
	CALL(setxattr(name, "unknown.a", "2", 1, 0));
	CALL(setxattr(name, "security.capability", capability, sizeof(capability), 0));
	CALL(setxattr(name, "security.capability", capability, 7, 0));
	CALL(setxattr(name, "security.capability", old_capability, sizeof(old_capability), 0));
	CALL(getxattr(name, "security.capability", value, sizeof(value)));
	CALL(removexattr(name, "security.capability"));
	CALL(setxattr(name, "system.posix_acl_access", acl, sizeof(acl) - 1, 0));
	CALL(setxattr(name, "system.posix_acl_access", acl, 7, 0));
	CALL(setxattr(name, "system.posix_acl_default", acl, sizeof(acl) - 1, 0));
	CALL(removexattr(name, "system.posix_acl_access"));
	CALL(removexattr(name, "system.posix_acl_default"));
	if (strcmp(name, "fifo") != 0) { // the sidecar stores no ACLs
		CALL(setxattr(name, "system.posix_acl_access", granting, sizeof(granting) - 1, 0));
		CALL(getxattr(name, "system.posix_acl_access", NULL, 0));
	}
	CALL(setxattr(name, "system.posix_acl_access", "", 0, 0));
	CALL(getxattr(name, "system.posix_acl_access", NULL, 0));
	CALL(removexattr(name, "user.a"));
	CALL(removexattr(name, "user.none"));
	CALL(fremovexattr(fd, "user.b"));
	show(name);
}

static void as(uid_t id, int groups, const gid_t *list) {
	fflush(stdout);
	pid_t child = must(fork());
	int status = 0;
	if (child > 0) {
		must(waitpid(child, &status, 0));
		if (status != 0)
			exit(1);
		return;
	}
	static const char *const names[] = {"own", "other", "root", "shared", "sticky", "dir", "fifo", "acl"};
	int fds[sizeof(names) / sizeof(*names)];
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		fds[i] = must(open(names[i], O_RDONLY | O_NONBLOCK));
	printf("as %u with %d groups\n", id, groups);
	must(setgroups(groups, list));
	must(setresgid(id, id, id));
	must(setresuid(id, id, id));
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		printf("%s\n", names[i]);
		times(names[i], fds[i]);
		attributes(names[i], fds[i]);
		modes(names[i], fds[i]);
		owners(names[i]);
	}
	CALL(syscall(SYS_fchmodat2, AT_FDCWD, "link", 0600, AT_SYMLINK_NOFOLLOW));
	CALL(lchown("link", -1, id));
	CALL(lsetxattr("link", "user.a", "1", 1, 0));
	CALL(lsetxattr("link", "system.posix_acl_access", granting, sizeof(granting) - 1, 0));
	CALL(chmod("none", 0600));
	CALL(syscall(SYS_fchmodat, AT_FDCWD, NULL, 0600));
	CALL(chmod("own/none", 0600));
	CALL(setxattr("own", "system.posix_acl_access", unordered, sizeof(unordered) - 1, 0));
	fflush(stdout);
	_exit(0);
}

static void put(const char *name, mode_t mode, uid_t uid, gid_t gid) {
	if ((mode & S_IFMT) == S_IFDIR)
		must(mkdir(name, 0700));
	else
		must(mknod(name, mode, 0));
	must(chown(name, uid, gid));
	must(chmod(name, mode & 07777));
}

static void tree(void) {
	put("own", S_IFREG | 0644, 1000, 1000);
	put("other", S_IFREG | 02644, 1001, 1001);
	put("root", S_IFREG | 0755, 0, 0);
	put("shared", S_IFREG | 0666, 1001, 1000);
	put("sticky", S_IFDIR | 01777, 1001, 1001);
	put("dir", S_IFDIR | 02775, 1000, 7);
	put("fifo", S_IFIFO | 0620, 1001, 8);
	put("acl", S_IFREG | 0600, 1002, 1002);
	must(setxattr("acl", "system.posix_acl_access", granting, sizeof(granting) - 1, 0));
	must(symlink("own", "link"));
	must(lchown("link", 1000, 1000));
}

static void clean(void) {
	must(system("rm -rf own other root shared sticky dir fifo acl link"));
}

int main(void) {
	static const struct {
		uid_t id;
		int groups;
		gid_t list[2];
	} users[] = {{1000, 0, {0}}, {1000, 2, {7, 8}}, {1001, 1, {8}}, {1003, 1, {7}}, {0, 0, {0}}};
	must(chmod(".", 0777));
	umask(022);
	for (size_t i = 0; i < sizeof(users) / sizeof(*users); i++) {
		tree();
		as(users[i].id, users[i].groups, users[i].list);
		clean();
	}
	return 0;
}
