// Access of a user where the order of the kernel's checks matters: bind mounts, removed
// directories, chains of scripts, sockets, and links of procfs.
#include "reach.h"
#include <sched.h>
#include <stddef.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/xattr.h>

static void make_text(const char *path, const char *text, mode_t mode) {
	int fd = must(open(path, O_CREAT | O_EXCL | O_WRONLY, 0600));
	must(write(fd, text, strlen(text)));
	close(fd);
	must(chmod(path, mode));
}

// Of a read-only bind mount, and of two mounts of one file system.
static void on_mounts(void) {
	CALL(try_open("ro/root", O_WRONLY));
	CALL(try_open("ro/root", O_WRONLY | O_TRUNC));
	CALL(try_open("ro/root", O_RDONLY | O_TRUNC));
	CALL(try_open("ro/own", O_WRONLY | O_TRUNC));
	CALL(try_open("ro/own", O_WRONLY));
	CALL(try_open("ro/new", O_WRONLY | O_CREAT));
	CALL(try_open("ro/root", O_RDONLY | O_CREAT));
	CALL(access("ro/root", W_OK));
	CALL(access("ro/own", W_OK));
	CALL(truncate("ro/root", 0));
	CALL(mkdir("ro/d", 0755));
	CALL(mkdir("ro/root", 0755));
	CALL(unlink("ro/root"));
	CALL(unlink("ro/none"));
	CALL(rename("rw/root", "dir/x"));
	CALL(rename("rw/root", "ro/x"));
	CALL(rename("rw/root", "bound/x"));
	CALL(rename("dir/root", "bound/x"));
	CALL(rename("dir/root", "bound/none/x"));
	CALL(link("dir/own", "bound/x"));
	CALL(link("dir/root", "bound/x"));
	CALL(link("dir/root", "bound/root"));
	CALL(chmod("ro/root", 0600));
	CALL(chown("ro/root", 1000, 1000));
	CALL(utimensat(AT_FDCWD, "ro/root", NULL, 0));
	CALL(setxattr("ro/root", "user.a", "1", 1, 0));
	CALL(try_open("ro", O_TMPFILE | O_WRONLY));
	CALL(try_open("ro/fifo", O_WRONLY | O_NONBLOCK));
	CALL(access("ro/fifo", W_OK));
}

// on_read_only writes to a file system that is read-only, not only mounted so.
static void on_read_only(void) {
	static const char *const names[] = {"rofs/root", "rofs/closed", "rofs/own", "rofs/dir", "rofs/fifo", "rofs/link", "rofs/none", "rofs/dir/x"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const char *name = names[i];
		printf("%s\n", name);
		CALL(try_open(name, O_RDONLY | O_NONBLOCK));
		CALL(try_open(name, O_WRONLY | O_NONBLOCK));
		CALL(try_open(name, O_RDWR | O_NOFOLLOW | O_NONBLOCK));
		CALL(try_open(name, O_RDWR | O_CREAT | O_NONBLOCK));
		CALL(try_open(name, O_RDONLY | O_TRUNC | O_NONBLOCK));
		CALL(access(name, W_OK));
		CALL(truncate(name, 0));
		CALL(utimensat(AT_FDCWD, name, NULL, 0));
	}
}

static void removed(void) {
	struct stat st;
	CALL(mkdir("x", 0755));
	CALL(try_open("x", O_CREAT | O_WRONLY));
	CALL(symlink("x", "x"));
	CALL(mknod("x", S_IFIFO | 0644, 0));
	CALL(mknod("x", S_IFREG | 0644, 0));
	CALL(unlink("x"));
	CALL(link("../dir/own", "x"));
	CALL(rename("../dir/own", "x"));
	CALL(rename("../dir/root", "x"));
	CALL(try_open(".", O_TMPFILE | O_WRONLY));
	CALL(stat(".", &st));
	CALL(stat("..", &st));
	CALL(stat("x", &st));
	CALL(chdir("."));
	CALL(access(".", W_OK));
}

static void run(const char *path) {
	fflush(stdout);
	pid_t pid = must(fork());
	if (pid == 0) {
		execl(path, path, "-c", "true", NULL);
		printf("%s: %s\n", path, strerrorname_np(errno));
		fflush(stdout);
		_exit(0);
	}
	int status;
	must(waitpid(pid, &status, 0));
	printf("run %s: %d\n", path, WEXITSTATUS(status));
}

static void programs(void) {
	for (int i = 1; i <= 7; i++) {
		char name[16];
		snprintf(name, sizeof name, "./script%d", i);
		run(name);
	}
	run("./unreadable");
	run("./interpreter_closed");
	run("./interpreter_hidden");
	run("./directory");
	run("./fifo");
	run("./garbage");
	run("./link");
	run("./dangling");
	run("./closed/true");
	run("./noexec/true");
	int fd = open("true", O_PATH);
	char *none[] = {"x", NULL};
	CALL(syscall(SYS_execveat, open("closedprogram", O_PATH), "", none, none, AT_EMPTY_PATH));
	CALL(syscall(SYS_execveat, open("link", O_PATH | O_NOFOLLOW), "", none, none, AT_EMPTY_PATH));
	CALL(syscall(SYS_execveat, AT_FDCWD, "link", none, none, AT_SYMLINK_NOFOLLOW));
	CALL(syscall(SYS_execveat, fd, "x", none, none, 0));
	CALL(syscall(SYS_execveat, fd, "", none, none, 0));
	CALL(syscall(SYS_execveat, AT_FDCWD, "closedprogram", none, none, 0x10000));
	CALL(syscall(SYS_execveat, AT_FDCWD, "true", none, none, 0x10000));
	CALL(syscall(SYS_execveat, 99, "closedprogram", none, none, 0));
	CALL(syscall(SYS_execve, "closedprogram", NULL, NULL));
	CALL(syscall(SYS_execve, "closedprogram", (char **)1, NULL));
}

static void watches(void) {
	int fd = must(inotify_init());
	CALL(inotify_add_watch(fd, "closed", IN_ONLYDIR));
	CALL(inotify_add_watch(fd, "closed", IN_ISDIR));
	CALL(inotify_add_watch(fd, "closed", IN_UNMOUNT));
	CALL(inotify_add_watch(fd, "closed", IN_MODIFY | IN_MASK_ADD | IN_MASK_CREATE));
	CALL(inotify_add_watch(fd, "closed", 0));
	CALL(inotify_add_watch(fd, "closed/true", IN_MODIFY));
	CALL(inotify_add_watch(fd, "closed/true", IN_MODIFY | IN_MASK_ADD | IN_MASK_CREATE));
	CALL(inotify_add_watch(fd, "closed/true", 0));
	struct { unsigned bytes; int type; char handle[128]; } h = {128};
	int id;
	CALL(syscall(SYS_name_to_handle_at, AT_FDCWD, "closed/true", &h, &id, 0x8000));
	CALL(syscall(SYS_name_to_handle_at, AT_FDCWD, "closed/true", &h, &id, 0));
	CALL(syscall(SYS_statx, AT_FDCWD, "closed/true", 0, 0x80000000, &h));
	CALL(syscall(SYS_statx, AT_FDCWD, "closed/true", AT_STATX_SYNC_TYPE, 0x1, &h));
	CALL(syscall(SYS_readlink, "closed/true", &h, -1));
	CALL(syscall(SYS_faccessat2, AT_FDCWD, "closed/true", 8, 0));
	CALL(syscall(SYS_faccessat2, AT_FDCWD, "closed/true", 0, 0x8000));
	CALL(syscall(SYS_faccessat2, AT_FDCWD, "closed/true", 0, 0));
	CALL(truncate("closed/true", -1));
#ifdef SYS_truncate64
	CALL(syscall(SYS_truncate64, "closed/true", 0, -1));
	CALL(syscall(SYS_truncate64, "closed/true", 0, 0));
#endif
	CALL(syscall(SYS_renameat2, AT_FDCWD, "closed/true", AT_FDCWD, "", 8));
	CALL(rename("closed/true", ""));
	CALL(rename("", "closed/true"));
	CALL(link("closed/true", ""));
	CALL(symlink("", "closed/true"));
	CALL(mkdir("closed/true/", 0));
	CALL(mkdir("dir/root/", 0));
	CALL(mkdir("dir/root/x", 0));
	CALL(rmdir("dir/root"));
	CALL(rmdir("dir/none"));
	CALL(rmdir("dir/."));
	CALL(rmdir("dir/.."));
	CALL(rmdir("dir/full"));
	CALL(rmdir("/"));
	CALL(unlink("dir/full"));
	CALL(unlink("dir/full/"));
	CALL(unlink("dir/root/"));
	CALL(unlink("dir/none/"));
	CALL(try_open("dir/none/", O_CREAT | O_RDONLY));
	CALL(try_open("dir/root/", O_CREAT | O_RDONLY));
	CALL(try_open("closed/x/", O_CREAT | O_RDONLY));
	CALL(try_open("closed/", O_CREAT | O_RDONLY));
	CALL(try_open("dir/root", O_CREAT | O_EXCL | O_RDONLY));
	CALL(try_open("dir/lost", O_CREAT | O_RDONLY));
	CALL(try_open("dir/lost", O_CREAT | O_EXCL | O_RDONLY));
	CALL(try_open("dir/lost", O_CREAT | O_NOFOLLOW | O_RDONLY));
	CALL(try_open("dir/lost", O_CREAT | O_NOFOLLOW | O_PATH));
	CALL(try_open("dir/loop", O_CREAT | O_RDONLY));
	CALL(try_open("dir/slashed", O_CREAT | O_RDONLY));
	CALL(try_open("dir/tofile", O_CREAT | O_RDONLY));
	CALL(try_open("dir/toclosed", O_CREAT | O_RDONLY));
	CALL(try_open("dir/toown", O_CREAT | O_RDONLY));
	show("own/new");
	CALL(try_open("dir", O_TMPFILE | O_RDWR));
	CALL(try_open("dir/root", O_TMPFILE | O_RDWR));
	CALL(try_open("own", O_TMPFILE | O_RDWR));
	CALL(try_open("own", O_TMPFILE | O_RDONLY));
	CALL(try_open("dir", O_CREAT | O_WRONLY));
	CALL(try_open("dir", O_WRONLY));
	CALL(try_open("closed", O_RDONLY));
	CALL(try_open("closed", O_RDONLY | O_DIRECTORY));
	CALL(try_open("dir/closedfile", O_RDONLY | O_DIRECTORY));
	CALL(try_open("dir/closedfile", O_RDONLY));
	CALL(try_open("dir/closedfile", O_PATH));
	CALL(try_open("dir/closedfile", 3));
	CALL(try_open("dir/root", 3));
	CALL(try_open("dir/root", O_RDONLY | O_NOATIME));
}

static int call_connect(int type, const void *path, size_t size) {
	int fd = must(socket(AF_UNIX, type, 0));
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	memcpy(a.sun_path, path, size);
	int r = connect(fd, (struct sockaddr *)&a, offsetof(struct sockaddr_un, sun_path) + size);
	int e = errno;
	close(fd);
	errno = e;
	return r;
}

static char long_path[109]; // of 108 bytes without a NUL

static int call_bind(const void *path, size_t size) {
	int fd = must(socket(AF_UNIX, SOCK_STREAM, 0));
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	memcpy(a.sun_path, path, size);
	int r = bind(fd, (struct sockaddr *)&a, offsetof(struct sockaddr_un, sun_path) + size);
	int e = errno;
	if (r == 0) {
		struct sockaddr_un b;
		socklen_t len = sizeof b;
		must(getsockname(fd, (struct sockaddr *)&b, &len));
		printf("  %u bytes, %.*s\n", len, (int)(len - 2), b.sun_path);
	}
	close(fd);
	errno = e;
	return r;
}

static void sockets(void) {
	CALL(call_connect(SOCK_STREAM, long_path, 108));
	CALL(call_connect(SOCK_STREAM, "dir/closedsocket", 17));
	CALL(call_connect(SOCK_STREAM, "dir/closedsocket", 16));
	CALL(call_connect(SOCK_DGRAM, "dir/closedsocket", 16));
	CALL(call_connect(SOCK_STREAM, "dir/opensocket", 14));
	CALL(call_connect(SOCK_DGRAM, "dir/opensocket", 14));
	CALL(call_connect(SOCK_STREAM, "dir/closedfile", 14));
	CALL(call_connect(SOCK_STREAM, "dir/root", 8));
	CALL(call_connect(SOCK_STREAM, "dir/none", 8));
	CALL(call_connect(SOCK_STREAM, "closed/true", 11));
	CALL(call_connect(SOCK_STREAM, "\0closed/true", 12));
	CALL(call_connect(SOCK_STREAM, "", 0));
	CALL(call_bind(long_path, 108));
	CALL(call_bind("dir/new", 7));
	CALL(call_bind("dir/root", 8));
	CALL(call_bind("closed/new", 10));
	CALL(call_bind("own/socket", 11));
	show("own/socket");
	CALL(call_bind("own/slash/", 10));
	struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "dir/closedsocket"};
	CALL(connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&a, sizeof a));
	CALL(connect(1, (struct sockaddr *)&a, sizeof a));
	CALL(connect(99, (struct sockaddr *)&a, sizeof a));
	CALL(connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&a, sizeof a + 1));
	CALL(connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)1, sizeof a));
}

// protected_symlinks, protected_regular and protected_fifos, as this machine sets them.
static void protections(void) {
	struct stat st;
	CALL(stat("tmp/theirs", &st));
	CALL(stat("tmp/theirs/", &st));
	CALL(stat("tmp/theirs/root", &st));
	CALL(stat("tmp/roots/root", &st));
	CALL(stat("tmp/roots", &st));
	CALL(lstat("tmp/theirs", &st));
	CALL(stat("totheirs", &st));
	CALL(stat("totheirs/root", &st));
	CALL(mkdir("tmp/theirown/d", 0755));
	CALL(symlink("x", "tmp/theirown/l"));
	CALL(try_open("tmp/theirown/f", O_CREAT | O_WRONLY));
	CALL(try_open("tmp/theirown/f", O_RDONLY));
	CALL(rename("tmp/theirown/f", "tmp/theirown/g"));
	CALL(unlink("tmp/theirown/g"));
	CALL(rmdir("tmp/theirown/d"));
	CALL(call_bind("tmp/theirown/s", 14));
	CALL(call_connect(SOCK_STREAM, "tmp/theirown/s", 14));
	CALL(try_open("tmp/theirlost", O_CREAT | O_WRONLY));
	CALL(try_open("tmp/theirlost", O_CREAT | O_EXCL | O_WRONLY));
	CALL(try_open("tmp/theirown", O_TMPFILE | O_WRONLY));
	CALL(try_open("tmp/theirfile", O_CREAT | O_WRONLY));
	CALL(try_open("tmp/theirfile", O_WRONLY));
	CALL(try_open("tmp/theirfifo", O_CREAT | O_RDWR));
	CALL(try_open("tmp/theirfifo", O_RDWR));
	CALL(try_open("tmp/rootfile", O_CREAT | O_WRONLY));
	CALL(chdir("tmp/theirs"));
}

static pid_t other;

static void procfs(void) {
	char path[64], b[64];
	snprintf(path, sizeof path, "/proc/%d/fd/0", other);
	struct stat st;
#define OF(name) (snprintf(path, sizeof path, "/proc/%d/" name, other), path)
	CALL(try_open(OF("exe"), O_RDONLY));
	CALL(try_open(OF("cwd"), O_RDONLY));
	CALL(try_open(OF("cwd/dir"), O_RDONLY));
	CALL(try_open(OF("root"), O_PATH));
	CALL(try_open(OF("fd/0"), O_RDONLY));
	CALL(stat(OF("cwd"), &st));
	CALL(lstat(OF("cwd"), &st));
	CALL(readlink(OF("exe"), b, sizeof b) > 0);
	CALL(readlink(OF("fd/0"), b, sizeof b) > 0);
	CALL(chdir(OF("fd")));
	CALL(chdir(OF("")));
	CALL(try_open("status", O_RDONLY));
	CALL(try_open("environ", O_RDONLY));
	CALL(try_open("maps", O_RDONLY));
	CALL(try_open("/proc/self/maps", O_RDONLY));
	CALL(try_open("/proc/self/environ", O_RDONLY));
	CALL(try_open("/proc/self/cwd", O_RDONLY));
	CALL(try_open("/proc/thread-self/fd/", O_RDONLY));
	CALL(try_open("/proc/self/exe", O_RDONLY));
	CALL(mkdir("x", 0755));
	CALL(mkdir("/proc/x", 0755));
	CALL(unlink("/proc/self/status"));
	CALL(rename("/proc/self/status", "/proc/self/x"));
	CALL(chdir("/proc/self"));
	FILE *f = fopen("status", "r");
	while (f && fgets(b, sizeof b, f))
		if (!strncmp(b, "Uid:", 4))
			printf("%s", b);
}

int main(void) {
	must(chmod(".", 0755));
	umask(022);
	must(mkdir("dir", 0755));
	must(mkdir("dir/full", 0755));
	make_file("dir/full/x", 0644);
	make_file("dir/root", 0644);
	make_file("dir/closedfile", 0600);
	make_file("dir/own", 0644);
	must(chown("dir/own", 1000, 1000));
	must(mkfifo("dir/fifo", 0600));
	must(mkdir("own", 0755));
	must(chown("own", 1000, 1000));
	must(mkdir("closed", 0700));
	must(symlink("none", "dir/lost"));
	must(symlink("loop", "dir/loop"));
	must(symlink("none/", "dir/slashed"));
	must(symlink("root/", "dir/tofile"));
	must(symlink("../closed/x", "dir/toclosed"));
	must(symlink("../own/new", "dir/toown"));
	must(unshare(CLONE_NEWNS));
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	for (const char **name = (const char *[]){"ro", "bound", "rw", "noexec", NULL}; *name; name++)
		must(mkdir(*name, 0755));
	must(mount("dir", "ro", NULL, MS_BIND, NULL));
	must(mount(NULL, "ro", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL));
	must(mount("dir", "bound", NULL, MS_BIND, NULL));
	must(mount("tmpfs", "rw", "tmpfs", 0, NULL));
	make_file("rw/root", 0644);
	puts("mounts");
	as_user(on_mounts);
	must(mkdir("rofs", 0755));
	must(mount("tmpfs", "rofs", "tmpfs", 0, NULL));
	make_file("rofs/root", 0644);
	make_file("rofs/closed", 0600);
	make_file("rofs/own", 0644);
	must(chown("rofs/own", 1000, 1000));
	must(mkdir("rofs/dir", 0700));
	must(mkfifo("rofs/fifo", 0644));
	must(symlink("root", "rofs/link"));
	must(mount(NULL, "rofs", NULL, MS_REMOUNT | MS_RDONLY, NULL));
	puts("a read-only file system");
	as_user(on_read_only);

	must(mkdir("gone", 0755));
	must(chdir("gone"));
	must(rmdir("../gone"));
	puts("removed");
	as_user(removed);
	must(chdir(".."));
	must(mkdir("gone", 0777));
	must(chmod("gone", 0777));
	must(chdir("gone"));
	must(rmdir("../gone"));
	as_user(removed);
	must(chdir(".."));

	puts("programs");
	int copied = must(system("cp /bin/true true; cp /bin/true closed/true; cp /bin/true closedprogram; chmod 644 closedprogram; cp /bin/true hidden; chmod 700 hidden"));
	(void)copied;
	for (int i = 1; i <= 7; i++) {
		char name[16], text[32];
		snprintf(name, sizeof name, "script%d", i);
		if (i == 1)
			strcpy(text, "#!/bin/true\n");
		else
			snprintf(text, sizeof text, "#!./script%d\n", i - 1);
		make_text(name, text, 0755);
	}
	make_text("unreadable", "#!/bin/cat\n", 0711);
	make_text("interpreter_closed", "#! ./closedprogram\n", 0755);
	make_text("interpreter_hidden", "#!./closed/true\n", 0755);
	make_text("garbage", "garbage", 0755);
	must(mkdir("directory", 0755));
	must(mkfifo("fifo", 0755));
	must(symlink("true", "link"));
	must(symlink("none", "dangling"));
	must(mount("tmpfs", "noexec", "tmpfs", MS_NOEXEC, NULL));
	must(system("cp /bin/true noexec/true"));
	as_user(programs);
	puts("programs, the last one hidden");
	must(unlink("script1"));
	make_text("script1", "#!./hidden\n", 0755);
	as_user(programs);
	puts("flags");
	as_user(watches);

	puts("sockets");
	memset(long_path, 'l', 108);
	memcpy(long_path, "dir/", 4);
	int fd = must(socket(AF_UNIX, SOCK_STREAM, 0));
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	memcpy(a.sun_path, long_path, 108);
	must(bind(fd, (struct sockaddr *)&a, sizeof a));
	must(listen(fd, 1));
	must(chmod(long_path, 0755));
	fd = must(socket(AF_UNIX, SOCK_STREAM, 0));
	strcpy(a.sun_path, "dir/closedsocket");
	must(bind(fd, (struct sockaddr *)&a, sizeof a));
	must(listen(fd, 1));
	must(chmod(a.sun_path, 0755));
	fd = must(socket(AF_UNIX, SOCK_STREAM, 0));
	strcpy(a.sun_path, "dir/opensocket");
	must(bind(fd, (struct sockaddr *)&a, sizeof a));
	must(listen(fd, 5));
	must(chmod(a.sun_path, 0777));
	as_user(sockets);

	puts("protections");
	must(mkdir("tmp", 0755));
	must(chmod("tmp", 01777));
	must(symlink("../dir", "tmp/theirs"));
	must(symlink("../own", "tmp/theirown"));
	must(symlink("../own/lost", "tmp/theirlost"));
	must(symlink("../dir", "tmp/roots"));
	must(symlink("tmp/theirs", "totheirs"));
	make_file("tmp/rootfile", 0666);
	make_file("tmp/theirfile", 0666);
	must(mkfifo("tmp/theirfifo", 0600));
	must(chmod("tmp/theirfifo", 0666));
	for (const char **name = (const char *[]){"theirs", "theirown", "theirlost", "theirfile", "theirfifo", NULL}; *name; name++) {
		char path[32];
		snprintf(path, sizeof path, "tmp/%s", *name);
		must(lchown(path, 1001, 1001));
	}
	as_user(protections);

	puts("procfs");
	int in = must(open("dir/root", O_RDONLY));
	must(dup2(in, 0));
	other = getpid();
	as_user(procfs);
	return 0;
}
