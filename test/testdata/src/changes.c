// Usage: changes. Creates and changes files in directories that have records, and others, again and
// again, and prints what it sees. Accelerated or not, that must be the same.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define ACCESS "system.posix_acl_access"
#define DEFAULT "system.posix_acl_default"

// say prints what a call has returned.
#define SAY(call) \
	do { \
		errno = 0; \
		long r = (long)(call); \
		printf("%s: %ld %s\n", #call, r, strerrorname_np(errno)); \
	} while (0)

// look prints what is to be seen of a file.
static void look(const char *path) {
	struct stat st;
	uint8_t value[200];
	errno = 0;
	int r = lstat(path, &st);
	printf("%s: %s", path, strerrorname_np(errno));
	if (r == 0) {
		printf(" %o %d:%d %lx", st.st_mode, st.st_uid, st.st_gid, (unsigned long)st.st_rdev);
		for (int k = 0; k < 2; k++) {
			ssize_t n = lgetxattr(path, k ? DEFAULT : ACCESS, value, sizeof(value));
			printf(" %zd:", n);
			for (ssize_t i = 0; i < n; i++)
				printf("%02x", value[i]);
		}
		printf(" %zd", llistxattr(path, (char *)value, sizeof(value)));
	}
	puts("");
}

static int by_name(const void *a, const void *b) { return strcmp(*(char **)a, *(char **)b); }

// list prints the entries of a directory, in the order of their names.
static void list(const char *path) {
	char *lines[100];
	size_t n = 0;
	DIR *d = opendir(path);
	for (struct dirent *e; d && n < 100 && (e = readdir(d));)
		if (asprintf(&lines[n], "%s %d", e->d_name, e->d_type) > 0)
			n++;
	qsort(lines, n, sizeof(lines[0]), by_name);
	for (size_t i = 0; i < n; i++) {
		puts(lines[i]);
		free(lines[i]);
	}
	if (d)
		closedir(d);
}

static void set(const char *path, const char *name, unsigned named) {
	uint16_t acl[] = {2, 0, 1, 7, 0xffff, 0xffff, 2, 6, named, 0, 4, 5, 0xffff, 0xffff, 0x10, 7, 0xffff, 0xffff, 0x20, 5, 0xffff, 0xffff};
	SAY(setxattr(path, name, acl, sizeof(acl), 0));
}

// change does everything once in the current directory.
static void change(void) {
	struct stat st;
	char null[] = "null", shadow[] = "shadow";
	// a group's directory, one with an ACL, another user's, and one of root's
	SAY(mkdir("team", 0755) + chown("team", 0, 77) + chmod("team", 02775));
	SAY(mkdir("acl", 0755));
	set("acl", DEFAULT, 42);
	SAY(mkdir("user", 0755) + chown("user", 42, 43));
	SAY(mkdir("plain", 0755));
	SAY(mkdir("plain", 0755));
	SAY(mkdir("none/x", 0755));
	SAY(mkdir("", 0755));
	const char *dirs[] = {"team", "acl", "user", "plain"};
	for (int i = 0; i < 4; i++) {
		SAY(chdir(dirs[i]));
		SAY(close(open("file", O_CREAT | O_WRONLY | O_TRUNC, 0666)));
		SAY(close(open("./new", O_CREAT | O_EXCL | O_WRONLY, 0666)));
		SAY(close(creat("../x", 0600)));
		SAY(mkdir("dir", 0777) + mkdir("dir/below", 0777));
		SAY(symlink("to", "link"));
		SAY(link("file", "hard"));
		SAY(rename("new", "renamed"));
		look("file"), look("renamed"), look("dir"), look("dir/below"), look("link"), look("hard"), look("../x");
		SAY(unlink("../x") + unlink("renamed") + unlink("hard"));
		SAY(rmdir("dir"));
		SAY(unlink("dir"));
		list(".");
		SAY(chdir(".."));
	}
	// through links, of which one leads to where no file is
	SAY(symlink("team/led", "leads") + symlink("plain/file", "known"));
	SAY(close(open("leads", O_CREAT | O_WRONLY, 0644)));
	SAY(close(open("known", O_RDWR | O_APPEND)));
	SAY(open("known", O_RDWR | O_NOFOLLOW));
	look("team/led"), look("leads");
	// a device, by two names, and set-id bits
	SAY(mknod(null, S_IFCHR | 0666, makedev(1, 3)) + mknod(shadow, S_IFCHR | 0666, makedev(1, 3)));
	for (int i = 0; i < 2; i++) {
		int fd = open(i ? null : shadow, i ? O_WRONLY : O_RDWR | O_CREAT | O_TRUNC, 0600);
		SAY(write(fd, "text", 4));
		SAY(close(fd));
	}
	look(null), look(shadow);
	SAY(chmod("plain/file", 04755));
	int fd = open("plain/file", O_WRONLY | O_APPEND);
	SAY(write(fd, "text", 4));
	SAY(fchmod(fd, 06711));
	SAY(fstat(fd, &st));
	printf("%o\n", st.st_mode);
	SAY(fchmod(fd, 0600) + fchown(fd, 42, 42));
	look("plain/file");
	SAY(fchown(fd, 0, 0));
	look("plain/file");
	// An ACL that a mode can express, as cp -a sets it; then another one.
	uint16_t minimal[] = {2, 0, 1, 6, 0xffff, 0xffff, 4, 4, 0xffff, 0xffff, 0x20, 1, 0xffff, 0xffff};
	SAY(fsetxattr(fd, ACCESS, minimal, sizeof(minimal), 0));
	look("plain/file");
	minimal[3] = 9;
	SAY(fsetxattr(fd, ACCESS, minimal, sizeof(minimal), 0));
	SAY(fsetxattr(fd, ACCESS, (void *)8, sizeof(minimal), 0));
	SAY(fsetxattr(fd, "user.a", minimal, sizeof(minimal), 0));
	set("plain/file", ACCESS, 42);
	look("plain/file");
	SAY(futimens(fd, NULL));
	SAY(close(fd));
	list(".");
	SAY(getxattr("plain/file", "user.a", NULL, 0));
	SAY(getxattr("plain", "user.none", NULL, 0));
	SAY(getxattr("plain", "security.none", NULL, 0));
	SAY(getxattr("plain", "trusted.none", NULL, 0));
	SAY(getxattr("plain", "user.rootlesscontainers", NULL, 0));
	SAY(getxattr("user", "user.rootlesscontainers", NULL, 0));
}

int main(void) {
	umask(022);
	for (int i = 0; i < 8; i++) {
		char name[] = "0";
		name[0] += i;
		if (mkdir(name, 0755) != 0 || chdir(name) != 0)
			return 1;
		change();
		if (chdir("..") != 0)
			return 1;
	}
	return 0;
}
