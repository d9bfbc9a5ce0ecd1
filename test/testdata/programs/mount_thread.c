// The owner of a file system that one thread mounts and another one uses.
#include "call.h"
#include "ids.h"
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>

static volatile int mounted;
static int ends;

static void *mounter(void *path) {
	must(syscall(SYS_mount, "none", path, "tmpfs", 0L, "mode=700"));
	mounted = 1;
	while (!ends) // without a call that anybody could see
		;
	return NULL;
}

static void use(const char *path, int thread_ends) {
	pthread_t thread;
	must(mkdir(path, 0755));
	mounted = 0, ends = thread_ends;
	must(-pthread_create(&thread, NULL, mounter, (void *)path));
	if (thread_ends)
		must(-pthread_join(thread, NULL));
	while (!mounted)
		;
	CALL(chown(path, 0, 0));
	show(path);
	CALL(rmdir(path));
}

static void put(const char *path, const char *text) {
	int fd = must(open(path, O_WRONLY));
	must(write(fd, text, strlen(text)));
	close(fd);
}

static void user(void) {
	must(prctl(PR_SET_DUMPABLE, 1)); // for the maps
	must(unshare(CLONE_NEWUSER | CLONE_NEWNS));
	put("/proc/self/setgroups", "deny");
	put("/proc/self/uid_map", "0 21000 1");
	put("/proc/self/gid_map", "0 21000 1");
	use("ended", 1);
	use("running", 0);
}

int main(void) {
	struct someone someone = {21000, 21000, 21000};
	must(mkdir("dir", 0777));
	must(chmod("dir", 0777));
	must(chmod(".", 0755));
	must(chdir("dir"));
	setvbuf(stdout, NULL, _IONBF, 0);
	finish(start(someone, -1, user));
	return 0;
}
