// Usage: changeids SECONDS. Changes its ids by every call until the time is over, and
// prints each wrong result.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int failures;

static void want(const char *what, long got, long wanted) {
	if (got != wanted) {
		printf("%s: %ld, want %ld (%s)\n", what, got, wanted, strerror(errno));
		fflush(stdout);
		failures++;
	}
}

static void are(const char *what, uid_t real, uid_t effective, uid_t saved) {
	uid_t r, e, s;
	want(what, getresuid(&r, &e, &s), 0);
	want(what, r, real);
	want(what, e, effective);
	want(what, s, saved);
}

static void *idle(void *arg) {
	pause();
	return arg;
}

static void become(uid_t id, int threads) {
	pthread_t thread;
	if (threads)
		want("pthread_create", pthread_create(&thread, NULL, idle, NULL), 0);
	for (uid_t fs = 0; fs < 3; fs++) {
		want("setfsuid", setfsuid(id + fs + 1), fs ? id + fs : 0);
		want("setfsgid", setfsgid(id + fs + 1), fs ? id + fs : 0);
	}
	gid_t groups[2] = {id, id + 1}, now[3];
	want("setgroups", setgroups(2, groups), 0);
	want("setresgid", setresgid(id, id, id), 0);
	want("keep", prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), 0);
	want("setresuid", setresuid(id, id, id), 0);
	are("setresuid", id, id, id);
	want("getgroups", getgroups(3, now), 2);
	want("a group", now[1], id + 1);
}

int main(int argc, char **argv) {
	if (argc == 3) { // the set-user-ID program
		uid_t id = atoi(argv[2]);
		are("a set-user-ID program", id, 0, 0);
		want("its group", getegid(), id);
		want("setreuid", setreuid(id + 1, id + 2), 0);
		are("setreuid", id + 1, id + 2, id + 2);
		return failures != 0;
	}
	char buffer[1 << 16], number[16];
	ssize_t n;
	int in = open("/proc/self/exe", O_RDONLY), out = open("program", O_CREAT | O_EXCL | O_WRONLY, 0700);
	while ((n = read(in, buffer, sizeof(buffer))) > 0)
		want("write", write(out, buffer, n), n);
	close(out);
	want("chmod", chmod("program", 04755), 0);
	struct timespec now, end;
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += atoi(argv[1]);
	for (uid_t id = 1000;; id += 2) {
		pid_t pid = fork();
		if (pid == 0) {
			become(id, id / 2 % 2);
			sprintf(number, "%u", id);
			execl("./program", "program", "as", number, NULL);
			_exit(3);
		}
		int status;
		want("waitpid", waitpid(pid, &status, 0), pid);
		want("status", status, 0);
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec >= end.tv_sec)
			break;
	}
	return failures != 0;
}
