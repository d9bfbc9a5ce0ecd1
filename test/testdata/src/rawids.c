// rawids changes its ids with raw system calls, as programs without a C library do. The
// library's state of the process is then wrong.
#include "../programs/call.h"
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define RAW(name, ...) CALL(syscall(SYS_##name, __VA_ARGS__))

static void ids(const char *who) {
	uid_t uid[3];
	gid_t gid[3], groups[32];
	must(syscall(SYS_getresuid, &uid[0], &uid[1], &uid[2]));
	must(syscall(SYS_getresgid, &gid[0], &gid[1], &gid[2]));
	int n = must(syscall(SYS_getgroups, 32, groups));
	printf("%s: %u %u %u, %u %u %u,", who, uid[0], uid[1], uid[2], gid[0], gid[1], gid[2]);
	for (int i = 0; i < n; i++)
		printf(" %u", groups[i]);
	printf("\n");
}

static void make(const char *name) {
	int fd = syscall(SYS_openat, AT_FDCWD, name, O_CREAT | O_EXCL | O_WRONLY, 0644);
	if (fd >= 0)
		close(fd);
	show(name);
}

// child runs a function in a child created by clone(2), and waits for it.
static void child(const char *what, void (*run)(void)) {
	printf("%s\n", what);
	fflush(stdout);
	pid_t pid = must(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
	if (pid == 0) {
		run();
		fflush(stdout);
		syscall(SYS_exit_group, 0);
	}
	must(waitpid(pid, NULL, 0));
}

static const gid_t groups[] = {7, 4000000000, 5, 7};

static void drop(void) {
	RAW(setgroups, 4, groups);
	RAW(setgid, 3000000000);
	RAW(setuid, 2000000000);
	ids("dropped");
	make("dropped");
	RAW(setuid, 0);
	RAW(setgid, 0);
	RAW(setgroups, 0, NULL);
	RAW(fchownat, AT_FDCWD, "dropped", 0, -1, 0);
	RAW(fchownat, AT_FDCWD, "dropped", -1, 4000000000, 0);
	RAW(fchownat, AT_FDCWD, "dropped", -1, 6, 0);
	show("dropped");
}

static void back(void) {
	RAW(setresgid, 10, 11, 12);
	RAW(setresuid, 20, 21, 0);
	ids("for a while");
	make("while");
	RAW(setreuid, -1, 20);
	RAW(setresuid, -1, 0, -1);
	ids("back");
	make("back");
	RAW(setfsgid, 14);
	RAW(setfsuid, 24);
	RAW(setfsuid, -1);
	make("fs");
	RAW(fchownat, AT_FDCWD, "back", 1, 1, 0);
}

static void keep(void) {
	RAW(prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0);
	RAW(setuid, 33);
	RAW(prctl, PR_GET_KEEPCAPS, 0, 0, 0, 0);
	RAW(fchownat, AT_FDCWD, "back", 2, 2, 0); // permitted, but not effective
	RAW(setuid, 34);
	ids("kept");
}

static void orphan(void) {
	int ends[2];
	must(pipe(ends));
	RAW(setresuid, 40, 40, 40);
	if (must(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)) > 0) {
		char c;
		close(ends[1]);
		(void)!read(ends[0], &c, 1);
		syscall(SYS_exit_group, 0);
	}
	pid_t parent = getppid();
	pid_t pid = must(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
	if (pid > 0)
		syscall(SYS_exit_group, 0);
	// Its parent has ended, as a daemon's.
	while (getppid() != 1 && getppid() != parent)
		usleep(1000);
	ids("orphan");
	make("orphan");
	fflush(stdout);
	syscall(SYS_exit_group, 0);
}

// Without arguments, it runs everything; with "chown FILE", what its capabilities allow.
int main(int argc, char **argv) {
	if (argc == 3) {
		ids(argv[1]);
		RAW(fchownat, AT_FDCWD, argv[2], 1, 1, 0);
		RAW(setuid, 0);
		return 0;
	}
	ids("first");
	child("drop", drop);
	child("back", back);
	child("keep", keep);
	child("orphan", orphan);
	ids("last");
	RAW(setgroups, 65537, groups);
	RAW(setresuid, 1, -1, 4294967294);
	ids("very last");
	return 0;
}
