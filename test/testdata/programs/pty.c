// Pseudoterminals: the slave belongs to the user that opens the master.
#include "call.h"
#include <grp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/wait.h>

// make opens a master and prints the slave. It closes neither.
static int make(const char *path, int flags) {
	char name[64], b;
	int n, unlocked = 0;
	int master = open(path, flags, 0);
	if (master < 0) {
		printf("open(%s, %#o) = %s\n", path, flags, strerrorname_np(errno));
		return -1;
	}
	must(ioctl(master, TIOCGPTN, &n));
	printf("open(%s, %#o) = %d, flags %#o %d\n", path, flags, n, fcntl(master, F_GETFL), fcntl(master, F_GETFD));
	snprintf(name, sizeof name, "pts/%d", n);
	show(name);
	must(fcntl(master, F_SETFL, O_NONBLOCK));
	CALL(read(master, &b, 1)); // no hangup
	CALL(open(name, O_RDWR | O_NOCTTY)); // it is locked
	must(ioctl(master, TIOCSPTLCK, &unlocked));
	int slave = must(open(name, O_RDWR | O_NOCTTY));
	CALL(fchmod(slave, 0600));
	CALL(fchown(slave, getuid(), -1));
	CALL(chown(name, -1, getgid()));
	show(name);
	must(write(slave, "x", 1));
	CALL(read(master, &b, 1));
	close(slave);
	return master;
}

static void everything(void) {
	static const int more[] = {0, O_NOCTTY | O_CLOEXEC, O_CREAT | O_NONBLOCK};
	for (size_t i = 0; i < sizeof more / sizeof *more; i++)
		make("pts/ptmx", O_RDWR | more[i]);
	make("link", O_RDWR);
	make("pts/ptmx", O_RDWR | O_CREAT | O_EXCL);
	make("pts/ptmx", O_RDWR | O_DIRECTORY);
	make("pts/ptmx/", O_RDWR);
	make("link", O_RDWR | O_NOFOLLOW);
}

static void as(const char *who, uid_t uid, gid_t gid) {
	printf("as %s\n", who);
	fflush(stdout);
	pid_t pid = must(fork());
	if (pid == 0) {
		must(setgroups(0, NULL));
		must(setresgid(gid, gid, gid));
		must(setresuid(uid, uid, uid));
		everything();
		exit(0);
	}
	reap(pid);
}

int main(void) {
	must(unshare(CLONE_NEWNS));
	must(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	must(chmod(".", 0755));
	must(mkdir("pts", 0755));
	must(symlink("pts/ptmx", "link"));
	must(mount("none", "pts", "devpts", 0, "newinstance,ptmxmode=0666,mode=620"));
	as("root", 0, 0);
	as("user", 1000, 1001);
	// Each gets the number, and so the inode, of the previous one.
	as("another", 1002, 1003);
	as("root", 0, 0);
	return 0;
}
