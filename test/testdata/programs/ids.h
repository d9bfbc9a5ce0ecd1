// For programs whose children are different users.
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

// The calls with 32-bit ids.
#ifdef SYS_setresuid32
#define SETGROUPS SYS_setgroups32
#define SETRESGID SYS_setresgid32
#define SETRESUID SYS_setresuid32
#else
#define SETGROUPS SYS_setgroups
#define SETRESGID SYS_setresgid
#define SETRESUID SYS_setresuid
#endif

// someone holds the three user ids of a process. Its group ids are the same.
struct someone { uid_t real, effective, saved; };

// become changes the caller's ids. It uses no library function, because these change all
// threads.
static inline void become(struct someone s) {
	must(syscall(SETGROUPS, 0, NULL));
	must(syscall(SETRESGID, s.real, s.effective, s.saved));
	must(syscall(SETRESUID, s.real, s.effective, s.saved));
}

// child is a process that waits for go_on.
struct child { pid_t pid; int ready, go; };

// start forks a child that becomes s and, after go_on, runs f. The child joins the given
// process group; with -1 it stays in its parent's, and with -2 it starts a session.
static inline struct child start(struct someone s, pid_t group, void (*f)(void)) {
	int ready[2], go[2];
	char byte = 0;
	struct child c;
	fflush(stdout);
	must(pipe2(ready, O_CLOEXEC));
	must(pipe2(go, O_CLOEXEC));
	c.pid = must(fork());
	if (c.pid == 0) {
		must(prctl(PR_SET_PDEATHSIG, SIGKILL));
		close(go[1]);
		close(ready[0]);
		if (group == -2)
			must(setsid());
		else if (group >= 0)
			must(setpgid(0, group));
		become(s);
		must(write(ready[1], &byte, 1));
		if (read(go[0], &byte, 1) < 0)
			must(-1);
		f();
		fflush(stdout);
		_exit(0);
	}
	close(ready[1]);
	close(go[0]);
	must(read(ready[0], &byte, 1) - 1);
	close(ready[0]);
	c.go = go[1];
	return c;
}

// await waits until a child ends.
static inline void await(struct child c) {
	int status;
	close(c.go);
	must(waitpid(c.pid, &status, 0));
	if (status)
		printf("  ended with status %#x\n", status);
}

// go_on lets a child continue. It writes, because other children keep the pipe open.
static inline void go_on(struct child c) {
	fflush(stdout);
	must(write(c.go, "", 1));
}

static inline void finish(struct child c) {
	go_on(c);
	await(c);
}

// run_as prints who and runs f in a child as s, with a supplementary group if it is not 0, and
// without capabilities unless it is root.
static inline void run_as(const char *who, struct someone s, gid_t group, void (*f)(void)) {
	printf(" %s\n", who);
	fflush(stdout);
	pid_t pid = must(fork());
	if (pid == 0) {
		must(syscall(SETGROUPS, group != 0, &group));
		must(syscall(SETRESGID, s.real, s.effective, s.saved));
		must(syscall(SETRESUID, s.real, s.effective, s.saved));
		f();
		fflush(stdout);
		_exit(0);
	}
	reap(pid);
}
