// The owners of the files in /proc/PID.
#include "call.h"
#include "ids.h"

static pid_t pid;
static struct stat st;

static void print(const char *how, const char *name, int result) {
	if (result < 0)
		printf("  %s %s: %s\n", how, name, strerrorname_np(errno));
	else
		printf("  %s %s: %d:%d\n", how, name, st.st_uid, st.st_gid);
}

static int with_statx(const char *path) {
	struct statx sx;
	int result = syscall(SYS_statx, AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &sx);
	st.st_uid = sx.stx_uid;
	st.st_gid = sx.stx_gid;
	return result;
}

// owners prints the owner of a process's file by every call that returns it.
static void owners(const char *dir, const char *name) {
	char path[128];
	int fd;
	snprintf(path, sizeof(path), "%s%s%s", dir, *name ? "/" : "", name);
	print("statx", name, with_statx(path));
	print("lstat", name, lstat(path, &st));
	if (S_ISLNK(st.st_mode))
		return; // by other paths, subuidless does not recognize a link of procfs
	fd = must(open(path, O_PATH | O_NOFOLLOW));
	print("fstat", name, fstat(fd, &st));
	print("fstatat", name, fstatat(fd, "", &st, AT_EMPTY_PATH));
	close(fd);
	fd = must(open("/proc", O_RDONLY | O_DIRECTORY));
	print("fstatat", name, fstatat(fd, path + strlen("/proc/"), &st, AT_SYMLINK_NOFOLLOW));
	close(fd);
	print("stat", name, stat(path, &st));
}

static void directories(const char *dir) {
	owners(dir, "");
	owners(dir, "net");
	owners(dir, "attr");
}

static void files(const char *dir) {
	static const char *names[] = {
		"stat", "status", "fd", "fd/0", "fdinfo", "fdinfo/0", "exe", "ns", "ns/user", "cmdline", "oom_score_adj", "mounts",
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		owners(dir, names[i]);
}

static void both(pid_t of, void (*f)(const char *)) {
	char dir[64];
	snprintf(dir, sizeof(dir), "/proc/%d", of);
	printf("the process\n");
	f(dir);
	snprintf(dir, sizeof(dir), "/proc/%d/task/%d", of, of);
	printf("its thread\n");
	f(dir);
}

static void of_process(void) {
	both(pid, directories);
	both(pid, files);
}

static void of_itself(void) { both(getpid(), directories); }

static void self(void) {
	print("stat", "/proc/self", stat("/proc/self", &st));
	print("stat", "/proc/thread-self", stat("/proc/thread-self", &st));
	must(chdir("/proc"));
	print("stat", "self/", stat("self/", &st));
	must(chdir("self"));
	print("stat", ".", stat(".", &st));
	print("stat", "net/..", stat("net/..", &st));
}

// cat is a process that has executed a program as its user.
static struct child cat(struct someone s) {
	struct child c;
	int in[2], out[2];
	char byte;
	must(pipe2(in, O_CLOEXEC));
	must(pipe2(out, O_CLOEXEC));
	c.pid = must(fork());
	if (c.pid == 0) {
		must(dup2(in[0], 0));
		must(dup2(out[1], 1));
		become(s);
		must(execl("/bin/cat", "cat", NULL));
	}
	must(write(in[1], "", 1));
	must(read(out[0], &byte, 1)); // it runs
	close(in[0]);
	c.go = in[1];
	return c;
}

int main(void) {
	struct someone people[] = {{21000, 21000, 21000}, {21000, 22000, 23000}, {0, 22000, 0}, {22000, 0, 0}, {0, 0, 0}};
	struct child c;
	for (size_t i = 0; i < sizeof(people) / sizeof(*people); i++) {
		printf("%d,%d,%d\n", people[i].real, people[i].effective, people[i].saved);
		c = cat(people[i]);
		pid = c.pid;
		of_process();
		finish(c);
	}
	finish(start(people[0], -1, of_itself));
	finish(start(people[0], -1, self));
	return 0;
}
