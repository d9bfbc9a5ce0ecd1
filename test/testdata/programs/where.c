// Paths are resolved as for the caller: with its working directory, root directory,
// descriptors and threads.
#include "call.h"
#include <pthread.h>
#include <sched.h>

static void chown_and_show(const char *path, uid_t id) {
	printf("%s: ", path);
	CALL(chown(path, id, id));
	show(path);
}

static void working_directory(void) {
	chown_and_show("file", 1);
	chown_and_show("./dir/../file", 2);
	must(chdir("dir"));
	chown_and_show("file", 3);
	chown_and_show("../file", 4);
	chown_and_show("/proc/self/cwd/file", 5);
	chown_and_show("/proc/thread-self/cwd/../file", 6);
	chown_and_show("/proc/self/cwd", 7);
	must(rename("../dir", "../moved"));
	chown_and_show("file", 8);
	must(chdir(".."));
	show("moved/file");
	must(rename("moved", "dir"));
	must(mkdir("lost", 0755));
	must(chdir("lost"));
	must(rmdir("../lost"));
	CALL(chown("file", 1, 1));
	CALL(chown(".", 9, 9));
	show(".");
	CALL(chown("..", 1, 1));
}

static void descriptors(void) {
	int dir = must(open("dir", O_RDONLY | O_DIRECTORY)), file = must(open("dir/file", O_RDONLY));
	must(dup2(dir, 20));
	must(dup2(file, 21));
	CALL(fchownat(20, "file", 10, 10, 0));
	show("dir/file");
	chown_and_show("/proc/self/fd/20/file", 11);
	chown_and_show("/dev/fd/20/../file", 12);
	CALL(chown("/proc/self/fd/21", 13, 13));
	CALL(chown("/proc/thread-self/fd/21", -1, 14));
	CALL(chown("/dev/fd/21", 15, -1));
	CALL(chown("/proc/self/fd/99", 1, 1));
	CALL(chown("/dev/fd/21/", 1, 1));
	show("dir/file");
	must(symlink("/proc/self/fd/21", "magic"));
	CALL(chown("magic", 16, 16));
	show("dir/file");
	CALL(lchown("magic", 17, 17));
	show("magic");
	must(dup2(file, 1 + 20));
	must(symlink("../dir/file", "dir/up"));
	chown_and_show("dir/up", 18);
	show("dir/file");
}

// elsewhere is a thread with its own working directory.
static void *elsewhere(void *unused) {
	must(unshare(CLONE_FS));
	must(chdir("dir"));
	chown_and_show("file", 30);
	chown_and_show("/proc/thread-self/cwd/file", 31);
	return unused;
}

static void threads(void) {
	pthread_t thread;
	if (pthread_create(&thread, NULL, elsewhere, NULL) || pthread_join(thread, NULL))
		must(-1);
	show("file");
	chown_and_show("file", 32);
	show("dir/file");
}

static void other_root(void) {
	must(chroot("dir"));
	chown_and_show("../file", 40);
	must(chdir("/"));
	chown_and_show("/file", 41);
	chown_and_show("/../../file", 42);
	chown_and_show("/absolute", 43);
	show("/file");
	CALL(chown("/dir/file", 1, 1));
	CALL(chown("/escape", 1, 1));
}

int main(void) {
	int top = must(open(".", O_PATH));
	make_file("file", 0644);
	must(mkdir("dir", 0755));
	make_file("dir/file", 0644);
	must(symlink("/file", "dir/absolute"));
	must(symlink("../../../dir/file", "dir/escape"));
	working_directory();
	must(fchdir(top));
	descriptors();
	threads();
	other_root();
	return 0;
}
