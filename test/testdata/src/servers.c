// Usage: servers TEST. Like accelerated, with file systems whose servers say other things than the
// kernel's.
#include "accelerated.h"

#include <linux/fuse.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>

// serve mounts a file system on the directory "served" whose server says EINTR to everything.
static void serve(void) {
	static char request[1 << 18];
	char options[64];
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
	CHECK(mount("served", "served", "fuse", 0, options) == 0);
	while (!wrong && read(fd, request, sizeof(request)) > 0) {
		const struct fuse_in_header *in = (const struct fuse_in_header *)request;
		struct {
			struct fuse_out_header header;
			struct fuse_init_out init;
		} answer = {{0, 0, in->unique}, {.major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 4096}};
		size_t size = sizeof(answer);
		if (in->opcode != FUSE_INIT) {
			answer.header.error = -EINTR;
			size = sizeof(answer.header);
		}
		answer.header.len = size;
		CHECK(write(fd, &answer, size) == (ssize_t)size || errno == ENOENT); // who has asked is gone
	}
	_exit(1);
}

// What a file system says for ever, the program sees.
static void test_interrupted(double seconds) {
	(void)seconds;
	CHECK(mkdir("served", 0755) == 0);
	pid_t pid = fork();
	if (pid == 0)
		serve();
	for (struct stat st; stat("served/none", &st) == 0 || errno != EINTR;) { // not mounted yet
		int status;
		if (waitpid(pid, &status, WNOHANG) != 0) {
			wrong = 1;
			return;
		}
	}
	warm_up();
	for (int i = 0; i < 50; i++)
		CHECK(unlink("none") < 0 && errno == ENOENT);
	for (int i = 0; i < 3; i++)
		CHECK(unlink("served/none") < 0 && errno == EINTR);
	CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
	CHECK(umount2("served", MNT_DETACH) == 0);
}

// The directory REFUSING is on a file system that refuses the attribute for records, and says of none
// that it has it. Accelerated processes see the first owner that is recorded somewhere else.
static void test_refused(double seconds) {
	(void)seconds;
	struct {
		volatile int ready, recorded;
	} *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char name[500];
	struct stat st;
	pid_t children[3];
	CHECK(shared != MAP_FAILED);
	snprintf(name, sizeof(name), "%s/refused-%d", getenv("REFUSING"), getpid());
	int fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0644);
	CHECK(fd >= 0 && close(fd) == 0);
	for (int i = 0; i < 3; i++)
		if ((children[i] = fork()) == 0) {
			warm_up();
			__atomic_add_fetch(&shared->ready, 1, __ATOMIC_SEQ_CST);
			while (!shared->recorded)
				CHECK(site(name, &st) == 0 && (st.st_uid == 0 || st.st_uid == 42));
			for (int k = 0; k < 20; k++)
				CHECK(site(name, &st) == 0 && st.st_uid == 42);
			pid_t pid = fork();
			if (pid == 0)
				_exit(site(name, &st) != 0 || st.st_uid != 42);
			CHECK(succeeds(pid));
			_exit(wrong);
		}
	warm_up();
	while (shared->ready < 3)
		sched_yield();
	CHECK(syscall(SYS_chown, name, 42, 42) == 0);
	shared->recorded = 1;
	CHECK(site(name, &st) == 0 && st.st_uid == 42);
	for (int i = 0; i < 3; i++)
		CHECK(succeeds(children[i]));
	CHECK(unlink(name) == 0);
}

static const struct test tests[] = {{"interrupted", test_interrupted}, {"refused", test_refused}};

int main(int argc, char **argv) { return run(tests, sizeof(tests) / sizeof(tests[0]), argc, argv); }
