// Objects referred to by descriptors: opened with O_PATH, links in /proc/self/fd, removed
// directories, sockets without a name, and a thread with its own descriptor table.
#include "call.h"
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

static void show_fd(int fd) {
	struct stat st;
	must(fstat(fd, &st));
	printf("  %06o %u:%u\n", st.st_mode, st.st_uid, st.st_gid);
}

static int bind_to(int fd, const char *path) {
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	strcpy(sa.sun_path, path);
	return bind(fd, (struct sockaddr *)&sa, sizeof sa);
}

static void opened_as_path(void) {
	char proc[32];
	make_file("file", 0644);
	must(symlink("file", "link"));
	int file = must(open("file", O_PATH)), link = must(open("link", O_PATH | O_NOFOLLOW)), dir = must(open(".", O_PATH));
	snprintf(proc, sizeof proc, "/proc/self/fd/%d", file);
	CALL(fchmod(file, 0600));
	CALL(syscall(SYS_fchmodat2, file, "", 0611, AT_EMPTY_PATH));
	show("file");
	CALL(syscall(SYS_fchmodat2, file, "", 0622, 0));
	CALL(syscall(SYS_fchmodat2, dir, "file", 0622, AT_SYMLINK_NOFOLLOW));
	show("file");
	CALL(fchown(file, -1, -1));
	CALL(fchownat(file, "", -1, getegid(), AT_EMPTY_PATH));
	show("file");
	CALL(chmod(proc, 0633));
	CALL(chown(proc, -1, getegid()));
	show("file");
	CALL(utimensat(file, "", NULL, AT_EMPTY_PATH));
	CALL(syscall(SYS_utimensat, file, NULL, NULL, 0));
	CALL(utimensat(AT_FDCWD, proc, NULL, 0));
	CALL(fsetxattr(file, "user.x", "1", 1, 0));
	CALL(setxattr(proc, "user.x", "1", 1, 0));
	snprintf(proc, sizeof proc, "/proc/self/fd/%d", link);
	CALL(syscall(SYS_fchmodat2, link, "", 0611, AT_EMPTY_PATH));
	CALL(fchownat(link, "", -1, getegid(), AT_EMPTY_PATH));
	CALL(utimensat(link, "", NULL, AT_EMPTY_PATH));
	CALL(chmod(proc, 0600));
	CALL(open(proc, O_WRONLY | O_CREAT, 0600));
	show("link");
	show("file");
	close(file);
	close(link);
	close(dir);
}

static void sockets(void) {
	umask(0);
	int s = must(socket(AF_UNIX, SOCK_STREAM, 0)), named = must(socket(AF_UNIX, SOCK_STREAM, 0));
	CALL(fchmod(s, 0600)); // the mode of the name
	show_fd(s);
	CALL(fchown(s, -1, getegid()));
	show_fd(s);
	CALL(bind_to(s, "socket"));
	show("socket");
	CALL(fchmod(s, 0666)); // does not change the mode of the name
	show("socket");
	CALL(bind_to(named, "socket"));
	CALL(chmod("socket", 0604));
	show("socket");
	CALL(utimes("socket", NULL));
	CALL(setxattr("socket", "user.x", "", 0, 0));
	CALL(open("socket", O_RDWR | O_CREAT, 0600));
	CALL(open("socket", O_RDWR | O_CREAT | O_EXCL, 0600));
	int path = must(open("socket", O_PATH)), inet = must(socket(AF_INET, SOCK_STREAM, 0));
	CALL(bind_to(path, "other"));
	CALL(bind_to(0, "other"));
	CALL(bind_to(inet, "other"));
	show("other");
	umask(022);
	int ends[2];
	must(pipe(ends));
	CALL(fchmod(ends[0], 0640));
	CALL(fchown(ends[0], getuid(), getegid()));
	show_fd(ends[1]);
	close(ends[0]);
	close(ends[1]);
	close(s);
	close(named);
	close(path);
	close(inet);
}

static void *thread(void *arg) {
	must(unshare(CLONE_FILES));
	must(unshare(CLONE_FS));
	must(dup2(must(open("thread", O_RDONLY | O_DIRECTORY)), 77));
	must(dup2(must(socket(AF_UNIX, SOCK_STREAM, 0)), 78));
	must(chdir("thread"));
	umask(077);
	CALL(mkdirat(77, "dir", 0777));
	show("dir");
	int file = openat(77, "file", O_CREAT | O_RDWR, 0666);
	show("file");
	CALL(bind_to(78, "socket"));
	show("socket");
	CALL(fchmod(file, 0640));
	CALL(fchown(file, -1, getegid()));
	CALL(futimens(file, NULL));
	CALL(fsetxattr(file, "user.x", "1", 1, 0));
	show_fd(file);
	show_fd(must(memfd_create("name", 0)));
	return arg;
}

static void table_of_a_thread(void) {
	pthread_t id;
	must(mkdir("thread", 0777));
	must(-pthread_create(&id, NULL, thread, NULL));
	must(-pthread_join(id, NULL));
	CALL(mkdirat(77, "dir", 0777));
	CALL(bind_to(78, "socket"));
	CALL(mkdir("after", 0777));
	show("after");
}

static void directory_that_is_gone(void) {
	struct stat st;
	must(mkdir("gone", 0777));
	must(chdir("gone"));
	int dir = must(open(".", O_RDONLY | O_DIRECTORY)), s = must(socket(AF_UNIX, SOCK_STREAM, 0));
	must(rmdir("../gone"));
	CALL(open("x", O_CREAT | O_WRONLY, 0600));
	CALL(open(".", O_TMPFILE | O_WRONLY, 0600));
	CALL(open("../x", O_CREAT | O_WRONLY, 0600));
	CALL(mkdir("x", 0700));
	CALL(mkdir(".", 0700));
	CALL(mkdir("../x", 0700));
	CALL(mkdirat(dir, "x", 0700));
	CALL(symlink("t", "x"));
	CALL(mknod("x", S_IFIFO | 0600, 0));
	CALL(bind_to(s, "x"));
	CALL(bind_to(s, "../x"));
	CALL(chmod(".", 0700));
	CALL(chown(".", -1, -1));
	CALL(utimes(".", NULL));
	CALL(fstatat(dir, "", &st, AT_EMPTY_PATH));
	CALL(stat(".", &st));
	printf("  %06o %u:%u\n", st.st_mode, st.st_uid, st.st_gid);
}

// as runs everything in a new directory.
static void as(const char *who, uid_t uid, gid_t gid) {
	printf("as %s\n", who);
	must(mkdir(who, 0755));
	must(chown(who, uid, gid));
	fflush(stdout);
	pid_t pid = must(fork());
	if (pid == 0) {
		must(chdir(who));
		must(setgroups(0, NULL));
		must(setresgid(gid, gid, gid));
		must(setresuid(uid, uid, uid));
		opened_as_path();
		sockets();
		table_of_a_thread();
		directory_that_is_gone();
		exit(0);
	}
	reap(pid);
}

int main(void) {
	umask(022);
	must(chmod(".", 0755));
	as("root", 0, 0);
	as("user", 1000, 1001);
	return 0;
}
