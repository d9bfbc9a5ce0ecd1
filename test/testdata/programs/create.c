// Creating inodes: their owners and modes, and the order of errors; as root and as
// another user.
#include "call.h"
#include <grp.h>
#include <linux/openat2.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

// shown prints the inode of a descriptor and its open flags.
static void shown(int fd) {
	struct stat st;
	if (fd < 0)
		return;
	must(fstat(fd, &st));
	int flags = fcntl(fd, F_GETFL);
	if (sizeof(long) == 4)
		flags &= ~0100000; // O_LARGEFILE: always set for a 64-bit process
	printf("  fd: %06o %u:%u nlink %lu flags %o fd flags %d\n", st.st_mode, st.st_uid, st.st_gid,
		(unsigned long)st.st_nlink, flags, fcntl(fd, F_GETFD));
	close(fd);
}

#define OPEN(...) (printf("open(" #__VA_ARGS__ ")"), opened(open(__VA_ARGS__)))

static void opened(int fd) {
	printf(" = %s\n", fd < 0 ? strerrorname_np(errno) : "fd");
	shown(fd);
}

static int raw_openat2(const char *path, uint64_t flags, uint64_t mode, uint64_t resolve, size_t size) {
	struct { struct open_how how; uint64_t more[2]; } h = {{flags, mode, resolve}, {0, 0}};
	if (size == 41) { // with a field that the kernel does not know
		h.more[1] = 1;
		size = sizeof h;
	}
	return syscall(SYS_openat2, AT_FDCWD, path, &h, size);
}

static int bind_path(const char *path, size_t extra) {
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = must(socket(AF_UNIX, SOCK_STREAM, 0));
	strcpy(sa.sun_path, path);
	int r = bind(fd, (struct sockaddr *)&sa, offsetof(struct sockaddr_un, sun_path) + strlen(path) + extra);
	int e = errno;
	if (r == 0) {
		struct sockaddr_un name = {0};
		struct stat st;
		socklen_t n = sizeof name;
		must(getsockname(fd, (struct sockaddr *)&name, &n));
		if (strncmp(path, "/proc/self/", 11) != 0) // the supervisor binds to another path there
			printf("  name %s length %u\n", name.sun_path, (unsigned)n);
		must(lstat(path, &st));
		if (st.st_mode & S_IWUSR) { // permission to connect is tested elsewhere
			must(listen(fd, 1));
			int peer = must(socket(AF_UNIX, SOCK_STREAM, 0));
			must(connect(peer, (struct sockaddr *)&sa, sizeof sa));
			close(peer);
		}
	}
	close(fd);
	errno = e;
	return r;
}

static void everything_in(const char *dir) {
	static const mode_t masks[] = {0, 022, 077, 0777};
	must(chdir(dir));
	printf("in %s\n", dir);
	for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
		umask(masks[i]);
		printf("umask %03o\n", masks[i]);
		CALL(mkdir("d", 07777)); show("d"); rmdir("d");
		CALL(mkdir("d", 0700)); show("d"); rmdir("d");
		OPEN("f", O_CREAT | O_WRONLY, 0666); show("f"); unlink("f");
		OPEN("f", O_CREAT | O_RDWR | O_EXCL, 06777); show("f"); unlink("f");
		OPEN("f", O_CREAT, 02767); show("f"); unlink("f");
		OPEN("f", O_CREAT | O_WRONLY, 0400); show("f"); unlink("f");
		OPEN("f", O_CREAT | O_RDWR | O_TRUNC | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_SYNC, 0); show("f"); unlink("f");
		OPEN("f", O_CREAT | O_WRONLY | O_NOATIME | O_LARGEFILE | O_DSYNC, 0644); show("f"); unlink("f");
		OPEN(".", O_TMPFILE | O_RDWR, 02776);
		OPEN(".", O_TMPFILE | O_WRONLY | O_EXCL | O_CLOEXEC, 0600);
		shown(creat("f", 0604)); show("f"); unlink("f");
		CALL(symlink("f", "l")); show("l"); unlink("l");
		CALL(mknod("n", S_IFIFO | 06777, 0)); show("n"); unlink("n");
		CALL(mknod("n", 0644, 0)); show("n"); unlink("n");
		CALL(mknod("n", S_IFSOCK | 0666, 0)); show("n"); unlink("n");
		CALL(bind_path("s", 0)); show("s"); unlink("s");
	}
	umask(022);
	must(chdir(".."));
}

// The ways to create an inode.
static long make_dir_at(const char *path) { return mkdir(path, 0755); }
static long make_link(const char *path) { return symlink("t", path); }
static long make_fifo(const char *path) { return mknod(path, S_IFIFO | 0644, 0); }
static long make_new(const char *path) { return open(path, O_CREAT | O_WRONLY | O_EXCL, 0644) < 0 ? -1 : 0; }
static long make_or_open(const char *path) { return open(path, O_CREAT | O_RDONLY | O_NONBLOCK, 0644) < 0 ? -1 : 0; }
static long make_no_link(const char *path) { return open(path, O_CREAT | O_WRONLY | O_NOFOLLOW, 0644) < 0 ? -1 : 0; }
static long make_unnamed(const char *path) { return open(path, O_TMPFILE | O_RDWR, 0644) < 0 ? -1 : 0; }

static const struct {
	const char *name;
	long (*make)(const char *path);
} ways[] = {
	{"mkdir", make_dir_at}, {"symlink", make_link}, {"mkfifo", make_fifo}, {"O_EXCL", make_new},
	{"O_CREAT", make_or_open}, {"O_NOFOLLOW", make_no_link}, {"O_TMPFILE", make_unnamed},
};

// populate fills the working directory with obstacles for paths.
static void populate(void) {
	make_file("file", 0644);
	must(mkdir("dir", 0755));
	must(symlink("loop", "loop"));
	must(symlink("target", "dangling"));
	must(symlink("dir/deep", "dangling2"));
	must(symlink("dangling2", "dangling3"));
	must(symlink("none/deep", "dangling4"));
	must(symlink("target/", "dangling5"));
	must(symlink("dir", "to-dir"));
}

// paths creates an inode at each path in each way, always in a new directory.
static void paths(void) {
	static const char *const paths[] = {
		"", "/", "//", ".", "..", "./", "dir", "dir/", "dir/.", "dir/..", "file", "file/", "file/x", "file/.", "none/x", "none/",
		"new", "new/", "new//", "./new", "dir/new", "dir//new", "loop", "loop/", "loop/x", "dangling", "dangling/", "dangling/x",
		"dangling2", "dangling3", "dangling4", "dangling5", "to-dir", "to-dir/", "to-dir/x", "to-dir//y", "dir/../z",
		"/proc/self/none", "/proc/self/cwd/w", "/proc/thread-self/cwd/dangling", "/proc/none", "/dev/fd/99", "/dev/fd/99/x",
	};
	char dir[32];
	must(mkdir("paths", 0777));
	must(chdir("paths"));
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
		for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
			if (paths[i][0] == '/' && ways[w].make == make_unnamed)
				continue; // the root directory belongs to another user
			snprintf(dir, sizeof dir, "%zu-%zu", i, w);
			must(mkdir(dir, 0777));
			must(chdir(dir));
			populate();
			errno = 0;
			long r = ways[w].make(paths[i]);
			printf("%s \"%s\" = %s\n", ways[w].name, paths[i], r < 0 ? strerrorname_np(errno) : "0");
			if (paths[i][0] != '/')
				show(paths[i]);
			show("target");
			show("dir/deep");
			must(chdir(".."));
		}
	must(chdir(".."));
	must(system("rm -rf paths"));
	for (int fd = 3; fd < 512; fd++)
		close(fd);
}

static void errors(void) {
	char *end = end_of_page();
	must(mkdir("e", 0777));
	must(chdir("e"));
	make_file("file", 0644);
	must(mkdir("dir", 0755));
	CALL(mkdir(fill(255, 'x'), 0755));
	CALL(mkdir(fill(256, 'x'), 0755));
	OPEN(fill(256, 'x'), O_CREAT | O_WRONLY, 0644);
	OPEN(fill(4096, 'x'), O_CREAT | O_WRONLY, 0644);
	CALL(mkdir(fill(4095, '/'), 0755));
	CALL(mkdir(fill(4096, '/'), 0755));
	CALL(mkdir(NULL, 0755));
	CALL(mkdir((char *)1, 0755));
	CALL(open(NULL, O_CREAT | O_WRONLY, 0644));
	CALL(symlink(NULL, "l"));
	CALL(symlink("", "l"));
	CALL(symlink((char *)1, "file"));
	CALL(symlink(fill(4096, 'x'), "l"));
	CALL(symlink(fill(4095, 'x'), "l"));
	CALL(unlink("l"));
	CALL(symlink("t", NULL));
	memcpy(end - 4, "end", 4);
	CALL(mkdir(end - 4, 0755)); show("end");
	memcpy(end - 3, "end", 3);
	CALL(mkdir(end - 3, 0755));
	CALL(mkdirat(-1, "x", 0755));
	CALL(mkdirat(99, "x", 0755));
	CALL(mkdirat(-1, "/none/x", 0755));
	CALL(symlinkat("t", 99, "x"));
	CALL(openat(99, "x", O_CREAT | O_WRONLY, 0644));
	int file = must(open("file", O_RDONLY)), dir = must(open("dir", O_RDONLY));
	CALL(mkdirat(file, "x", 0755));
	CALL(mkdirat(dir, "x", 0751)); show("dir/x");
	CALL(symlinkat("t", dir, "l")); show("dir/l");
	opened(openat(dir, "new", O_CREAT | O_WRONLY, 0640)); show("dir/new");
	CALL(unlinkat(dir, "new", 0));
	CALL(rmdir("dir"));
	CALL(unlink("dir/l"));
	CALL(rmdir("dir/x"));
	CALL(rmdir("dir"));
	// A removed directory.
	CALL(mkdirat(dir, "x", 0755));
	opened(openat(dir, "x", O_CREAT | O_WRONLY, 0644));
	close(file);
	close(dir);
	must(chdir(".."));
	must(system("rm -rf e"));
}

static void links(void) {
	must(mkdir("links", 0777));
	must(mkdir("links/to", 0777));
	must(chdir("links"));
	must(symlink("to/a", "one"));
	must(symlink("one2", "two"));
	must(symlink("./to//b", "one2"));
	char target[4096];
	must(snprintf(target, sizeof target, "%s/to/c", getcwd((char[4096]){0}, 4096)) > 0 ? 0 : -1);
	must(symlink(target, "absolute"));
	must(symlink("/proc/self/cwd/to/d", "self"));
	OPEN("one", O_CREAT | O_WRONLY, 0644); show("to/a");
	OPEN("two", O_CREAT | O_WRONLY, 0644); show("to/b");
	OPEN("absolute", O_CREAT | O_WRONLY, 0644); show("to/c");
	OPEN("self", O_CREAT | O_WRONLY, 0644); show("to/d");
	OPEN("/proc/self/cwd/to/e", O_CREAT | O_WRONLY, 0644); show("to/e");
	OPEN("one", O_CREAT | O_WRONLY, 0644);
	OPEN("one", O_CREAT | O_WRONLY | O_EXCL, 0644);
	int a = must(open("to/a", O_RDONLY));
	char proc[64];
	snprintf(proc, sizeof proc, "/dev/fd/%d", a);
	OPEN(proc, O_CREAT | O_WRONLY, 0644);
	close(a);
	must(symlink("/dev/null", "null"));
	CALL(close(open("null", O_CREAT | O_WRONLY | O_TRUNC, 0644)));
	CALL(mkdir("/proc/self/cwd/to/f", 0755)); show("to/f");
	CALL(mkdir("/proc/self/none/f", 0755));
	CALL(bind_path("/proc/self/cwd/to/s", 0) == 0 ? 0 : -1); show("to/s");
	// An existing file keeps its owner.
	CALL(link("to/a", "to/a2")); show("to/a2");
	CALL(rename("to/a2", "to/b")); show("to/b");
	CALL(chmod("to/a", 0600));
	int t = open("to", O_TMPFILE | O_RDWR, 0640);
	snprintf(proc, sizeof proc, "/proc/self/fd/%d", t);
	CALL(linkat(AT_FDCWD, proc, AT_FDCWD, "to/linked", AT_SYMLINK_FOLLOW)); show("to/linked");
	close(t);
	must(chdir(".."));
	must(system("rm -rf links"));
}

static void how(void) {
	must(mkdir("how", 0777));
	must(chdir("how"));
	must(mkdir("in", 0777));
	must(symlink("in", "link"));
	must(symlink("../in/far", "up"));
	must(symlink("/in", "root"));
	must(symlink("none", "nothing"));
#define HOW(...) (printf("openat2(" #__VA_ARGS__ ")"), opened(raw_openat2(__VA_ARGS__, 24)))
	HOW("a", O_CREAT | O_WRONLY, 0640, 0); show("a");
	HOW("b", O_CREAT | O_WRONLY | O_EXCL, 0640, RESOLVE_BENEATH); show("b");
	HOW("link/c", O_CREAT | O_WRONLY, 0640, RESOLVE_NO_SYMLINKS);
	HOW("link/c", O_CREAT | O_WRONLY, 0640, RESOLVE_BENEATH); show("in/c");
	HOW("../d", O_CREAT | O_WRONLY, 0640, RESOLVE_BENEATH);
	HOW("../d", O_CREAT | O_WRONLY, 0640, RESOLVE_IN_ROOT); show("d");
	HOW("/in/e", O_CREAT | O_WRONLY, 0640, RESOLVE_IN_ROOT); show("in/e");
	HOW("/f", O_CREAT | O_WRONLY, 0640, RESOLVE_IN_ROOT); show("f");
	HOW("/in/e", O_CREAT | O_WRONLY, 0640, RESOLVE_BENEATH);
	HOW("up", O_CREAT | O_WRONLY, 0640, RESOLVE_BENEATH);
	HOW("up", O_CREAT | O_WRONLY, 0640, RESOLVE_IN_ROOT); show("in/far");
	HOW("root/g", O_CREAT | O_WRONLY, 0640, RESOLVE_IN_ROOT); show("in/g");
	HOW("nothing", O_CREAT | O_WRONLY, 0640, RESOLVE_NO_SYMLINKS);
	HOW("nothing", O_CREAT | O_WRONLY, 0640, RESOLVE_BENEATH); show("none");
	HOW("h", O_CREAT | O_WRONLY, 0640, RESOLVE_CACHED);
	HOW("h", O_CREAT | O_WRONLY, 0640, RESOLVE_BENEATH | RESOLVE_IN_ROOT);
	HOW("h", O_CREAT | O_WRONLY, 0640, 1 << 20);
	HOW("h", O_CREAT | O_WRONLY, 010640, 0);
	HOW("h", O_CREAT | O_WRONLY | 1ull << 40, 0640, 0);
	HOW("h", O_WRONLY, 0640, 0);
	HOW("h", O_CREAT | O_DIRECTORY, 0640, 0);
	HOW("h", O_CREAT | O_PATH, 0640, 0);
	HOW("in", O_TMPFILE | O_RDWR, 0640, RESOLVE_BENEATH);
	HOW("..", O_TMPFILE | O_RDWR, 0640, RESOLVE_BENEATH);
	HOW("in", O_TMPFILE | O_CREAT | O_RDWR, 0640, 0);
	HOW("in", O_TMPFILE | O_RDONLY, 0640, 0);
	opened(raw_openat2("i", O_CREAT | O_WRONLY, 0600, 0, 40)); show("i");
	opened(raw_openat2("j", O_CREAT | O_WRONLY, 0600, 0, 41)); show("j");
	opened(raw_openat2("j", O_CREAT | O_WRONLY, 0600, 0, 23)); show("j");
	CALL(syscall(SYS_openat2, AT_FDCWD, "j", NULL, 24));
	must(chdir(".."));
	must(system("rm -rf how"));
}

static void sockets(void) {
	must(mkdir("sockets", 0777));
	must(chdir("sockets"));
	must(mkdir("dir", 0777));
	CALL(bind_path("dir/s", 0)); show("dir/s");
	CALL(bind_path("dir/s", 0));
	CALL(bind_path("dir/t", 1)); show("dir/t");
	CALL(bind_path("none/t", 0));
	CALL(bind_path("dir", 0));
	CALL(bind_path("dir/u/", 0));
	CALL(bind_path(fill(107, 'x'), 0)); show(fill(107, 'x'));
	CALL(bind_path(fill(107, 'y'), 1)); show(fill(107, 'y'));
	CALL(bind(0, (struct sockaddr *)"\1\0x", 3));
	CALL(bind(99, (struct sockaddr *)"\1\0x", 3));
	CALL(bind(99, NULL, 110));
	int s = must(socket(AF_UNIX, SOCK_DGRAM, 0));
	CALL(bind(s, (struct sockaddr *)"\1\0\0abstract", 11));
	CALL(bind(s, (struct sockaddr *)"\1\0again", 7)); show("again");
	close(s);
	s = must(socket(AF_UNIX, SOCK_DGRAM, 0));
	CALL(bind(s, (struct sockaddr *)"\1\0x", 2)); // an abstract address
	CALL(bind(s, NULL, 200));
	close(s);
#ifdef SYS_socketcall
	s = must(socket(AF_UNIX, SOCK_DGRAM, 0));
	CALL(syscall(SYS_socketcall, 2, (long[]){s, (long)"\1\0call", 6})); show("call"); // bind
	CALL(syscall(SYS_socketcall, 2, NULL));
	close(s);
#endif
	must(chdir(".."));
	must(system("rm -rf sockets"));
}

static void nameless(void) {
	struct stat st;
	int fd = must(memfd_create("name", MFD_CLOEXEC | MFD_ALLOW_SEALING));
	shown(fd);
	CALL(memfd_create(NULL, 0));
	CALL(memfd_create(fill(249, 'x'), 0) > 2);
	CALL(memfd_create(fill(250, 'x'), 0));
	CALL(memfd_create("x", 0x40000000));
	int p[2];
	must(pipe(p));
	must(fstat(p[0], &st));
	printf("pipe %u:%u\n", st.st_uid, st.st_gid);
	must(fstat(p[1], &st));
	printf("pipe %u:%u\n", st.st_uid, st.st_gid);
	int s = must(socket(AF_INET, SOCK_STREAM, 0));
	must(fstat(s, &st));
	printf("socket %06o %u:%u\n", st.st_mode, st.st_uid, st.st_gid);
	close(s);
}

static void no_descriptors(void) {
	struct rlimit old, none;
	must(getrlimit(RLIMIT_NOFILE, &old));
	int last = must(dup(0));
	none = old;
	none.rlim_cur = last + 1;
	must(setrlimit(RLIMIT_NOFILE, &none));
	OPEN("full", O_CREAT | O_WRONLY, 0644); show("full");
	OPEN(".", O_TMPFILE | O_WRONLY, 0644);
	CALL(memfd_create("x", 0));
	CALL(mkdir("full", 0755)); CALL(rmdir("full"));
	none.rlim_cur = last + 2;
	must(setrlimit(RLIMIT_NOFILE, &none));
	OPEN("full", O_CREAT | O_WRONLY, 0644); show("full"); unlink("full");
	none.rlim_cur = 0;
	must(setrlimit(RLIMIT_NOFILE, &none));
	OPEN("full", O_CREAT | O_WRONLY, 0644);
	must(setrlimit(RLIMIT_NOFILE, &old));
	show("full");
	close(last);
	for (int fd = 3; fd < 20; fd++)
		close(fd);
}

static void everything(const char *who) {
	static const char *const dirs[] = {"plain", "sticky", "setgid", "setgid-own", "setgid-none"};
	printf("as %s\n", who);
	for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++)
		everything_in(dirs[i]);
	must(chdir("work"));
	paths();
	errors();
	links();
	how();
	sockets();
	nameless();
	no_descriptors();
	must(chdir(".."));
}

// as runs everything as another user.
static void as(const char *who, uid_t uid, gid_t gid, size_t n, const gid_t *groups) {
	fflush(stdout);
	pid_t pid = must(fork());
	if (pid == 0) {
		must(setgroups(n, groups));
		must(setresgid(gid, gid, gid));
		must(setresuid(uid, uid, uid));
		everything(who);
		exit(0);
	}
	reap(pid);
}

static void make_dir(const char *name, uid_t uid, gid_t gid, mode_t mode) {
	must(mkdir(name, 0755));
	must(chown(name, uid, gid));
	must(chmod(name, mode));
}

int main(void) {
	umask(022);
	make_dir("plain", 0, 0, 0777);
	make_dir("sticky", 0, 0, 01777);
	make_dir("setgid", 7, 8, 02777);
	make_dir("setgid-own", 1000, 1001, 02777);
	make_dir("setgid-none", 0, 0, 02777);
	make_dir("work", 0, 0, 0777);
	must(chmod(".", 0777));
	everything("root");
	as("a user", 1000, 1001, 0, NULL);
	as("a user of the group", 1000, 1000, 1, (gid_t[]){8});
	as("root's user, another group", 0, 5, 0, NULL);
	return 0;
}
