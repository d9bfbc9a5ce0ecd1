// execve(2) of a set-user-ID program while other processes inspect or trace the caller,
// and while it has other threads.
#include "call.h"
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

static void become(uid_t id) {
	must(setgroups(0, NULL));
	must(setresgid(id, id, id));
	must(setresuid(id, id, id));
}

static void who(void) {
	uid_t ruid, euid, suid;
	must(getresuid(&ruid, &euid, &suid));
	printf("    %u %u %u, first thread %d\n", ruid, euid, suid, getpid() == gettid());
	fflush(stdout);
}

static void execute(void) {
	execl("./program", "program", "who", NULL);
	must(-1);
}

static void wait_for(pid_t pid) {
	int status;
	must(waitpid(pid, &status, 0));
	if (status)
		printf("    status %#x\n", status);
}

// looked_at counts how often the program does not become root while it is inspected.
static void looked_at(void) {
	int wrong = 0;
	for (int i = 0; i < 200; i++) {
		pid_t pid = must(fork());
		if (pid == 0) {
			become(1000);
			execl("./program", "program", "root?", NULL);
			_exit(2);
		}
		char name[32];
		sprintf(name, "/proc/%d", pid);
		struct stat st;
		int status;
		while (must(waitpid(pid, &status, WNOHANG)) == 0) {
			must(stat(name, &st));
			must(kill(pid, 0));
		}
		wrong += status != 0;
	}
	printf("while others look, %d times not root\n", wrong);
}

// traced executes the program as a user while another user traces it.
static void traced(uid_t tracer) {
	printf("traced by user %u\n", tracer);
	fflush(stdout);
	pid_t pid = must(fork());
	if (pid == 0) {
		int go[2], status;
		char c = 0;
		must(pipe(go));
		if (tracer)
			become(tracer);
		must(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)); // otherwise a user may not trace the child
		pid_t child = must(fork());
		if (child == 0) {
			if (!tracer)
				become(1000);
			must(read(go[0], &c, 1));
			execute();
		}
		must(ptrace(PTRACE_SEIZE, child, 0, 0));
		must(write(go[1], &c, 1));
		must(waitpid(child, &status, 0));
		exit(WEXITSTATUS(status));
	}
	wait_for(pid);
}

static void *execute_in_thread(void *arg) {
	// Failed calls do not matter, nor do the ids of other processes.
	execl("./not-there", "program", NULL);
	execl("./not-executable", "program", NULL);
	must(syscall(SYS_setresuid, 1000, 1000, 1000));
	execute();
	return arg;
}

static void *spin(void *arg) {
	for (;;) {
		syscall(SYS_setresuid, -1, 7, -1);
		syscall(SYS_setresuid, -1, 8, -1);
	}
	return arg;
}

// by_thread executes the program from a thread other than the first, while the others
// change their ids.
static void by_thread(void) {
	printf("by a thread\n");
	fflush(stdout);
	pid_t pid = must(fork());
	if (pid == 0) {
		pthread_t thread;
		for (int i = 0; i < 3; i++)
			must(-pthread_create(&thread, NULL, spin, NULL));
		must(-pthread_create(&thread, NULL, execute_in_thread, NULL));
		spin(NULL);
	}
	wait_for(pid);
}

int main(int argc, char **argv) {
	if (argc > 1) {
		if (strcmp(argv[1], "root?") == 0)
			return geteuid() != 0;
		who();
		return 0;
	}
	char buffer[1 << 16];
	ssize_t n;
	int in = must(open("/proc/self/exe", O_RDONLY)), out = must(open("program", O_CREAT | O_EXCL | O_WRONLY, 0700));
	while ((n = must(read(in, buffer, sizeof(buffer)))) > 0)
		must(write(out, buffer, n));
	close(out);
	must(chmod("program", 04755));
	make_file("not-executable", 0644);
	must(chmod(".", 0755));
	looked_at();
	traced(0);
	traced(1000);
	for (int i = 0; i < 100; i++)
		by_thread();
	return 0;
}
