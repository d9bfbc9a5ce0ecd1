// The ids of threads, children and programs after the C library's setresuid, which changes
// all threads, and after the system call, which changes one thread.
#include "call.h"
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static void print_ids(const char *who) {
	uint32_t u[3], g[3], list[16];
	must(syscall(SYS_getresuid, &u[0], &u[1], &u[2]));
	must(syscall(SYS_getresgid, &g[0], &g[1], &g[2]));
	int n = must(syscall(SYS_getgroups, 16, list));
	printf("  %s: uid %u %u %u %u gid %u %u %u %u groups", who, u[0], u[1], u[2], setfsuid(-1), g[0], g[1], g[2], setfsgid(-1));
	for (int i = 0; i < n; i++)
		printf(" %u", list[i]);
	printf(" slack %d\n", prctl(PR_GET_TIMERSLACK));
	fflush(stdout);
}

static char *self;

static void await(pid_t child) {
	int status;
	must(waitpid(child, &status, 0));
	if (status != 0)
		printf("ended with %x\n", status);
}

static void execute(void) {
	execl(self, self, "executed", NULL);
	_exit(9);
}

// descendants shows a child, an orphan, and programs started in each way.
static void descendants(void) {
	pid_t child = must(fork());
	if (child == 0) {
		print_ids("child");
		int pipes[2];
		must(pipe(pipes));
		pid_t middle = must(fork());
		if (middle == 0) {
			pid_t gone = getpid();
			if (must(fork()) == 0) {
				while (getppid() == gone)
					sched_yield();
				print_ids("orphan");
				must(write(pipes[1], "", 1));
				_exit(0);
			}
			_exit(0);
		}
		await(middle);
		must(read(pipes[0], &pipes, 1));
		execute();
	}
	await(child);
	child = vfork();
	if (child == 0)
		execute();
	await(must(child));
	child = must(fork());
	if (child == 0) {
		execl("/nonexistent", "x", NULL);
		execl("/", "x", NULL);
		print_ids("after a failed execve");
		must(syscall(SYS_setgid, getgid()));
		execute();
	}
	await(child);
}

enum { THREADS = 6 };

static pthread_barrier_t barrier;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

static void *inherits(void *name) {
	print_ids(name);
	return NULL;
}

static void start(void *(*f)(void *), void *arg) {
	pthread_t t;
	if (pthread_create(&t, NULL, f, arg) != 0 || pthread_join(t, NULL) != 0)
		must(-1);
}

static void *idle(void *unused) {
	(void)unused;
	for (int i = 0; i < 4; i++)
		pthread_barrier_wait(&barrier);
	return NULL;
}

// Each makes a call that changes one thread. Then they print their ids one after another.
static void *differs(void *arg) {
	long i = (long)arg;
	uint32_t list[] = {i, 100 + i, 7};
	must(prctl(PR_SET_TIMERSLACK, 50000 + 1000 * i));
	must(syscall(SYS_setgroups, 3, list));
	must(syscall(SYS_setresgid, -1, i, 200 + i));
	must(syscall(SYS_setfsgid, 300 + i));
	must(syscall(SYS_setresuid, -1, i % 2 ? 0 : 400 + i, -1));
	must(syscall(SYS_setfsuid, 500 + i));
	pthread_barrier_wait(&barrier);
	for (int j = 0; j < THREADS; j++) {
		if (i == j) {
			printf("  thread %d\n", j);
			print_ids("itself");
			start(inherits, "its thread");
			descendants();
		}
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

// A thread other than the first executes a program.
static void *executes(void *unused) {
	(void)unused;
	must(syscall(SYS_setresgid, 8, 9, 10));
	must(syscall(SYS_setresuid, 5, 6, 7));
	execute();
	return NULL;
}

static void *follows(void *name) {
	for (int i = 0; i < 4; i++) {
		pthread_barrier_wait(&barrier);
		pthread_mutex_lock(&turn);
		print_ids(name);
		pthread_mutex_unlock(&turn);
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

static void broadcast(void) {
	pthread_t threads[THREADS];
	printf("broadcast\n");
	pthread_barrier_init(&barrier, NULL, THREADS + 1);
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, follows, "thread") != 0)
			must(-1);
	for (int i = 0; i < 4; i++) {
		gid_t list[] = {i, 50};
		if (i == 0) {
			CALL(getuid());
		} else if (i < 3) {
			CALL(setgroups(2, list));
			CALL(setresgid(-1, 10 + i, -1));
			CALL(setresuid(i - 1, 0, 0));
		} else {
			CALL(setuid(20));
			CALL(setuid(0));
			CALL(setgroups(0, NULL));
		}
		fflush(stdout);
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	print_ids("the only thread left");
	descendants();
}

static void each_its_own(void) {
	pthread_t threads[THREADS], other[2];
	printf("each its own\n");
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (long i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, differs, (void *)i) != 0)
			must(-1);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	print_ids("the first thread");
	descendants();
	pthread_barrier_init(&barrier, NULL, 3);
	for (int i = 0; i < 2; i++)
		if (pthread_create(&other[i], NULL, idle, NULL) != 0)
			must(-1);
	must(setresgid(30, 31, 32));
	print_ids("the first thread, with others");
	start(executes, NULL);
}

static void in_child(void (*f)(void)) {
	fflush(stdout);
	pid_t child = must(fork());
	if (child == 0) {
		f();
		fflush(stdout);
		_exit(0);
	}
	await(child);
}

int main(int argc, char **argv) {
	self = argv[0];
	if (argc > 1) {
		print_ids(argv[1]);
		start(inherits, "a thread of that");
		return 0;
	}
	must(setgroups(0, NULL));
	for (int i = 0; i < 3; i++) {
		in_child(broadcast);
		in_child(each_its_own);
	}
	return 0;
}
