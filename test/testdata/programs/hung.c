// A file system that does not answer: tasks that wait for it do not keep others from making calls,
// and SIGKILL ends them. The arguments are how often, and how many tasks. With a third one, it reads the
// requests, so that whoever waits for it cannot be killed, and somebody kills the worker.
#include "call.h"
#include <linux/fuse.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>

#define MAX_TASKS 1000

// serve mounts a file system on the directory "hung", says that it is there, writes a byte to ready,
// and answers nothing. If it reads requests, it writes a byte for each.
static void serve(int ready, int reads) {
	static char request[1 << 18];
	must(prctl(PR_SET_PDEATHSIG, SIGKILL)); // whatever fails
	int fd = must(open("/dev/fuse", O_RDWR | O_CLOEXEC));
	char options[64];
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
	must(mount("hung", "hung", "fuse", 0, options));
	must(read(fd, request, sizeof(request)));
	struct {
		struct fuse_out_header header;
		struct fuse_init_out init;
	} answer = {
		{sizeof(answer), 0, ((struct fuse_in_header *)request)->unique},
		{.major = FUSE_KERNEL_VERSION, .minor = 31, .flags = FUSE_PARALLEL_DIROPS, .max_write = 4096},
	};
	must(write(fd, &answer, sizeof(answer)));
	must(write(ready, "", 1));
	while (reads) {
		must(read(fd, request, sizeof(request)));
		must(write(ready, "", 1));
	}
	pause();
}

// lose_worker makes a call for which the worker waits, and then another one, when the worker has been
// killed.
static int lose_worker(int ready, pid_t server) {
	pid_t task = must(fork());
	if (task == 0) {
		must(prctl(PR_SET_PDEATHSIG, SIGKILL));
		chown("hung/file", 1, 1);
		_exit(0);
	}
	must(read(ready, &(char){0}, 1));
	puts("waiting");
	fflush(stdout);
	must(read(0, &(char){0}, 1));
	must(chown("plain", 1, 2));
	show("plain");
	must(kill(server, SIGKILL));
	must(waitpid(server, NULL, 0));
	must(waitpid(task, NULL, 0));
	return 0;
}

int main(int argc, char **argv) {
	int rounds = argc > 1 ? atoi(argv[1]) : 2, count = argc > 2 ? atoi(argv[2]) : 40;
	if (count > MAX_TASKS)
		return 1;
	must(mkdir("hung", 0755));
	make_file("plain", 0644);
	if (access("/dev/fuse", R_OK | W_OK) < 0) {
		puts("skipped: the host lets its users open no /dev/fuse");
		return 0;
	}
	int ready[2];
	must(pipe(ready));
	pid_t server = must(fork());
	if (server == 0)
		serve(ready[1], argc > 3);
	close(ready[1]);
	if (must(read(ready[0], &(char){0}, 1)) == 0)
		return 1; // the server has said why
	if (argc > 3)
		return lose_worker(ready[0], server);
	for (int round = 1; round <= rounds; round++) {
		pid_t tasks[MAX_TASKS];
		int started[2];
		must(pipe(started));
		for (int i = 0; i < count; i++) {
			if ((tasks[i] = must(fork())) == 0) {
				char name[32];
				must(prctl(PR_SET_PDEATHSIG, SIGKILL));
				snprintf(name, sizeof(name), "hung/%d", i);
				must(write(started[1], "", 1));
				chown(name, 1, 1);
				_exit(0);
			}
		}
		for (int i = 0; i < count; i++)
			must(read(started[0], &(char){0}, 1));
		for (int i = 0; i < 10; i++) // all of them wait by now
			must(chown("plain", round, i));
		show("plain");
		for (int i = 0; i < count; i++)
			must(kill(tasks[i], SIGKILL));
		int killed = 0;
		for (int i = 0; i < count; i++) {
			int status;
			must(waitpid(tasks[i], &status, 0));
			killed += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
		}
		printf("killed: %d\n", killed);
		close(started[0]);
		close(started[1]);
	}
	CALL(umount2("hung", MNT_DETACH));
	must(kill(server, SIGKILL));
	must(waitpid(server, NULL, 0));
	return 0;
}
