// User namespaces: what a process sees and may do in one that maps some of the ids, and in one
// below that.
#include "call.h"
#include "ids.h"
#include <linux/capability.h>
#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/xattr.h>

// put writes text to a file, and prints the result of the first call that fails.
static void put(const char *path, const char *text) {
	int fd = open(path, O_WRONLY);
	if (fd < 0) {
		printf("open %s: %s\n", path, strerrorname_np(errno));
		return;
	}
	ssize_t n = write(fd, text, strlen(text));
	printf("%s < \"%.20s\": %s\n", path + strcspn(path + 1, "/") + 1, text, n < 0 ? strerrorname_np(errno) : "ok");
	close(fd);
}

// put_of is put for a file of another process.
static void put_of(pid_t pid, const char *file, const char *text) {
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
	int fd = open(path, O_WRONLY);
	if (fd < 0) {
		printf("open %s: %s\n", file, strerrorname_np(errno));
		return;
	}
	ssize_t n = write(fd, text, strlen(text));
	printf("%s < \"%.20s\": %s\n", file, text, n < 0 ? strerrorname_np(errno) : "ok");
	close(fd);
}

// print prints a file.
static void print(const char *path) {
	char text[4096];
	int fd = open(path, O_RDONLY);
	if (fd < 0) {
		printf("open %s: %s\n", path, strerrorname_np(errno));
		return;
	}
	ssize_t n = must(read(fd, text, sizeof text));
	close(fd);
	printf("%s:\n%.*s", path, (int)n, text);
}

static void ids(void) {
	uid_t r, e, s;
	gid_t groups[32];
	must(syscall(SYS_getresuid, &r, &e, &s));
	printf("  uid %d %d %d", (int)r, (int)e, (int)s);
	must(syscall(SYS_getresgid, &r, &e, &s));
	printf(" gid %d %d %d groups", (int)r, (int)e, (int)s);
	int n = must(syscall(SYS_getgroups, 32, groups));
	for (int i = 0; i < n; i++)
		printf(" %d", (int)groups[i]);
	printf(" fsuid %ld %ld\n", syscall(SYS_setfsuid, -1), syscall(SYS_setfsgid, -1));
}

// after_exec shows the capabilities that a program has.
static void after_exec(void) {
	fflush(stdout);
	pid_t pid = must(fork());
	if (pid == 0) {
		execl("/bin/grep", "grep", "^Cap[EPBIA]", "/proc/self/status", NULL);
		must(-1);
	}
	reap(pid);
}

static void caps(void) {
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2];
	must(syscall(SYS_capget, &h, d));
	printf("  effective %d permitted %d inheritable %d bounding %d securebits %x\n",
		!!(d[0].effective & 1 << CAP_CHOWN), !!(d[0].permitted & 1 << CAP_CHOWN), !!(d[0].inheritable & 1 << CAP_CHOWN),
		prctl(PR_CAPBSET_READ, CAP_CHOWN), prctl(PR_GET_SECUREBITS));
}

static void status(void) {
	char line[256];
	FILE *f = fopen("/proc/self/status", "r");
	while (fgets(line, sizeof line, f))
		if (!strncmp(line, "Uid:", 4) || !strncmp(line, "Gid:", 4) || !strncmp(line, "Groups:", 7))
			printf("  %s", line);
	fclose(f);
}

// enter runs f in a child in a new user namespace, after prepare has been called for it.
static void enter(const char *what, void (*prepare)(pid_t), void (*f)(void)) {
	int ready[2], go[2];
	char byte = 0;
	printf("-- %s\n", what);
	fflush(stdout);
	must(pipe(ready));
	must(pipe(go));
	pid_t pid = must(fork());
	if (pid == 0) {
		if (unshare(CLONE_NEWUSER) < 0) {
			printf("unshare: %s\n", strerrorname_np(errno));
			fflush(stdout);
			_exit(0);
		}
		must(write(ready[1], &byte, 1));
		must(read(go[0], &byte, 1));
		f();
		fflush(stdout);
		_exit(0);
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) == 1)
		prepare(pid);
	fflush(stdout);
	must(write(go[1], &byte, 1));
	reap(pid);
	close(ready[0]);
	close(go[0]);
	close(go[1]);
}

static void nothing(pid_t pid) { (void)pid; }

static void map_range(pid_t pid) {
	put_of(pid, "uid_map", "0 1000 1\n1 100000 100\n");
	put_of(pid, "uid_map", "0 1000 1\n");
	put_of(pid, "gid_map", "0 1000 1\n1 100000 100\n");
	put_of(pid, "setgroups", "deny");
}

static void unmapped(void) {
	ids();
	caps();
	after_exec();
	print("/proc/self/uid_map");
	print("/proc/self/setgroups");
	CALL(setuid(0));
	CALL(setuid(65534));
	CALL(setgroups(0, NULL));
	CALL(unshare(CLONE_NEWUSER));
	show("root");
	CALL(chown("root", 0, 0));
	CALL(chown("root", -1, -1));
	CALL(mkdir("made", 0755));
	show("made");
	CALL(open("secret", O_RDONLY) > 0);
	status();
}

static void files(void) {
	const char *names[] = {"root", "user", "other", "far", "userroot"};
	for (int i = 0; i < 5; i++)
		show(names[i]);
	CALL(chown("user", 5, 5));
	show("user");
	CALL(chown("user", 101, 0));
	CALL(chown("user", 100, 100));
	CALL(chown("user", 0, 101));
	CALL(lchown("link", 3, 4));
	show("link");
	CALL(chown("root", 0, 0));
	CALL(chown("root", -1, -1));
	CALL(chown("userroot", 0, 0));
	CALL(chmod("root", 0600));
	CALL(chmod("userroot", 0600));
	CALL(chmod("other", 0640));
	CALL(open("secret", O_RDONLY) > 0);
	CALL(open("othersecret", O_RDONLY) > 0);
	CALL(mkdir("madeinside", 0755));
	show("madeinside");
	CALL(rmdir("madeinside"));
	CALL(mknod("device", S_IFCHR | 0600, 0x103));
	CALL(setxattr("user", "trusted.x", "1", 1, 0));
	CALL(removexattr("other", "security.capability"));
	CALL(unlink("sticky/root"));
	CALL(unlink("sticky/other"));
	struct stat st;
	int pair[2];
	struct ucred peer;
	socklen_t size = sizeof peer;
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	must(getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &peer, &size));
	printf("  peer %d:%d\n", peer.uid, peer.gid);
	must(stat("/proc/self", &st));
	printf("  /proc/self %d:%d\n", st.st_uid, st.st_gid);
}

static pid_t outside;

static void others(void) {
	CALL(kill(outside, 0));
	CALL(setpriority(PRIO_PROCESS, outside, 5));
	CALL(kill(getppid(), 0));
	CALL(sethostname("x", 1));
	CALL(chroot("/"));
	CALL(unshare(CLONE_NEWNS));
	must(mkdir("mnt", 0755));
	CALL(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	CALL(mount("none", "mnt", "tmpfs", 0, "mode=750"));
	show("mnt");
	CALL(mkdir("mnt/dir", 0755));
	show("mnt/dir");
	CALL(chown("mnt/dir", 9, 9));
	show("mnt/dir");
	must(mkdir("mnt/l", 0755));
	must(mkdir("mnt/u", 0755));
	must(mkdir("mnt/w", 0755));
	must(mkdir("mnt/m", 0755));
	CALL(mount("overlay", "mnt/m", "overlay", 0, "lowerdir=mnt/l,upperdir=mnt/u,workdir=mnt/w,userxattr"));
	show("mnt/w/work");
	CALL(chmod("mnt/w/work", 0700));
	make_file("mnt/m/new", 0644);
	show("mnt/m/new");
	CALL(chown("mnt/m/new", 9, 9));
	show("mnt/u/new");
	CALL(umount("mnt/m"));
	CALL(umount("mnt"));
	int fd = open("/proc/self/ns/user", O_RDONLY);
	uid_t owner = 4711;
	CALL(ioctl(fd, NS_GET_OWNER_UID, &owner));
	printf("  owner %d\n", owner);
}

static void change(void) {
	gid_t groups[] = {3, 4}, bad[] = {3, 101};
	ids();
	CALL(setgroups(2, groups));
	CALL(setgroups(2, bad));
	CALL(setresgid(7, 7, 7));
	CALL(setresgid(7, 101, 7));
	CALL(setresuid(-1, 101, -1));
	CALL(setreuid(101, -1));
	CALL(setuid(101));
	CALL(syscall(SYS_setfsuid, 101));
	CALL(syscall(SYS_setfsuid, 5));
	ids();
	CALL(setresuid(5, 5, 0));
	ids();
	caps();
	CALL(setresuid(0, 0, 0));
	caps();
	CALL(setresuid(6, 6, 6));
	ids();
	caps();
	status();
	CALL(setuid(0));
	must(prctl(PR_SET_DUMPABLE, 1));
}

static void map_below(pid_t pid) {
	put_of(pid, "uid_map", "0 5 1\n1 0 1\n10 50 10\n");
	put_of(pid, "gid_map", "0 5 1\n10 50 10\n");
}

static void below(void) {
	ids();
	caps();
	print("/proc/self/uid_map");
	print("/proc/self/gid_map");
	print("/proc/1/setgroups");
	show("user");
	show("other");
	CALL(chown("user", 12, 13));
	CALL(chown("user", 2, 0));
	CALL(setresuid(12, 12, 12));
	ids();
	CALL(kill(getppid(), 0));
}

static void inside(void) {
	print("/proc/self/uid_map");
	print("/proc/self/gid_map");
	print("/proc/self/setgroups");
	ids();
	caps();
	after_exec();
	files();
	others();
	enter("below, mapped from within", map_below, below);
	enter("below, not mapped", nothing, unmapped);
	change();
	enter("below, by an unmapped user", nothing, unmapped);
}

// own maps only its own id, as an unprivileged process may.
static void own(void) {
	char map[32];
	put("/proc/self/uid_map", "0 1000 1\n1 100000 65536\n");
	snprintf(map, sizeof map, "0 %d 1\n", 1000);
	put("/proc/self/uid_map", map);
	put("/proc/self/uid_map", map);
	put("/proc/self/gid_map", map);
	put("/proc/self/setgroups", "deny");
	put("/proc/self/gid_map", map);
	print("/proc/self/uid_map");
	print("/proc/self/gid_map");
	print("/proc/self/setgroups");
	ids();
	caps();
	CALL(setgroups(0, NULL));
	show("user");
	show("userroot");
	CALL(chown("userroot", 0, 0));
	CALL(setuid(0));
	CALL(mkdir("mine", 0755));
	show("mine");
	CALL(rmdir("mine"));
}

static void as_user(void) {
	must(prctl(PR_SET_DUMPABLE, 1)); // as after execve: /proc/PID then belongs to the user
	enter("an unprivileged user", nothing, own);
}

static void as_other(void) {
	put_of(outside, "uid_map", "0 1001 1\n");
	put_of(outside, "setgroups", "deny");
	printf("kill: %d\n", kill(outside, 0) ? errno : 0);
}


int main(void) {
	setvbuf(stdout, NULL, _IOLBF, 4096);
	must(chmod(".", 0777));
	make_file("root", 0644);
	make_file("secret", 0600);
	make_file("user", 0644);
	make_file("userroot", 0644);
	make_file("other", 0644);
	make_file("othersecret", 0600);
	make_file("far", 0644);
	must(symlink("x", "link"));
	must(mkdir("sticky", 01777));
	must(chmod("sticky", 01777));
	make_file("sticky/root", 0644);
	make_file("sticky/other", 0644);
	must(chown("user", 1000, 1000));
	must(chown("userroot", 1000, 0));
	must(chown("other", 100001, 100002));
	must(chown("othersecret", 100001, 100002));
	must(chown("sticky/other", 100001, 100002));
	must(lchown("link", 100001, 100002));
	must(chown("far", 4000000000, 4000000000));
	enter("root, not mapped", nothing, unmapped);
	show("made");

	struct someone user = {1000, 1000, 1000}, other = {1001, 1001, 1001};
	int ready[2], go[2];
	char byte = 0;
	must(pipe(ready));
	must(pipe(go));
	outside = must(fork());
	if (outside == 0) {
		become(user);
		must(prctl(PR_SET_DUMPABLE, 1));
		must(prctl(PR_SET_PDEATHSIG, SIGKILL));
		must(write(ready[1], &byte, 1));
		for (;;)
			pause();
	}
	must(read(ready[0], &byte, 1));
	// The namespace's creator is user 1000; root maps it.
	pid_t pid = must(fork());
	if (pid == 0) {
		must(prctl(PR_SET_PDEATHSIG, SIGKILL));
		become(user);
		must(prctl(PR_SET_DUMPABLE, 1));
		must(unshare(CLONE_NEWUSER));
		must(write(ready[1], &byte, 1));
		must(read(go[0], &byte, 1));
		inside();
		fflush(stdout);
		_exit(0);
	}
	must(read(ready[0], &byte, 1));
	printf("-- mapped by root\n");
	map_range(pid);
	must(write(go[1], &byte, 1));
	reap(pid);
	show("user");
	show("link");

	finish(start(user, -1, as_user));
	finish(start(other, -1, as_other));
	must(kill(outside, SIGKILL));
	must(waitpid(outside, NULL, 0));
	return 0;
}
