// Opening with O_CREAT files that already exist, or that appear and disappear.
#include "call.h"
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

static void opened(const char *how, int fd) {
	struct stat st;
	if (fd < 0) {
		printf("%s = %s\n", how, strerrorname_np(errno));
		return;
	}
	must(fstat(fd, &st));
	// O_LARGEFILE is always set for a 64-bit process.
	printf("%s: %06o %u:%u size %ld flags %o fd flags %d\n", how, st.st_mode, st.st_uid, st.st_gid, (long)st.st_size,
		fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK | O_SYNC), fcntl(fd, F_GETFD));
	close(fd);
}

#define OPEN(...) opened("open(" #__VA_ARGS__ ")", open(__VA_ARGS__))

static void fill_file(const char *path) {
	int fd = must(open(path, O_WRONLY | O_TRUNC));
	must(write(fd, "content", 7));
	close(fd);
}

static void every_way(const char *path) {
	printf("%s\n", path);
	OPEN(path, O_CREAT | O_RDONLY, 0600);
	OPEN(path, O_CREAT | O_WRONLY, 0600);
	OPEN(path, O_CREAT | O_RDWR | O_APPEND | O_NONBLOCK | O_SYNC | O_CLOEXEC, 0600);
	OPEN(path, O_CREAT | O_RDWR | O_NOFOLLOW | O_NOATIME, 0600);
	OPEN(path, O_CREAT | O_RDWR | O_DIRECTORY, 0600);
	OPEN(path, O_CREAT | O_RDWR | O_EXCL, 0600);
	OPEN(path, O_CREAT | O_RDWR | O_TRUNC, 0600);
}

static void kinds(void) {
	make_file("file", 0640);
	fill_file("file");
	must(symlink("file", "link"));
	must(mkfifo("fifo", 0600));
	must(mkdir("dir", 0755));
	every_way("file");
	fill_file("file");
	every_way("link");
	every_way("dir");
	every_way("file/");
	OPEN("fifo", O_CREAT | O_RDWR, 0600);
	OPEN("fifo", O_CREAT | O_WRONLY | O_NONBLOCK, 0600);
	CALL(close(open("/dev/null", O_CREAT | O_WRONLY | O_TRUNC, 0600)));
	// The kernel may check the opener of this file when it is written.
	int comm = open("/proc/thread-self/comm", O_CREAT | O_WRONLY, 0600);
	CALL(write(comm, "name", 4));
	close(comm);
	must(chmod("file", 06755));
	OPEN("file", O_CREAT | O_WRONLY, 0600);
	OPEN("file", O_CREAT | O_RDONLY | O_TRUNC, 0600);
	show("file");
}

static void running(void) {
	must(system("cp /bin/sleep program"));
	pid_t pid = must(fork());
	if (pid == 0) {
		execl("program", "sleep", "100", NULL);
		_exit(1);
	}
	char exe[64], target[4096];
	snprintf(exe, sizeof exe, "/proc/%d/exe", pid);
	do {
		int n = readlink(exe, target, sizeof target - 1);
		target[n < 0 ? 0 : n] = 0;
	} while (strcmp(strrchr(target, '/') ?: "", "/program") != 0);
	OPEN("program", O_CREAT | O_WRONLY, 0600);
	OPEN("program", O_CREAT | O_RDONLY | O_TRUNC, 0600);
	must(kill(pid, 9));
	must(waitpid(pid, NULL, 0));
}

static void no_descriptors(void) {
	struct rlimit old, none;
	fill_file("file");
	must(getrlimit(RLIMIT_NOFILE, &old));
	int last = must(dup(0));
	none = old;
	none.rlim_cur = last + 1;
	must(setrlimit(RLIMIT_NOFILE, &none));
	OPEN("file", O_CREAT | O_WRONLY | O_TRUNC, 0600);
	OPEN("file", O_CREAT | O_WRONLY, 0600);
	must(setrlimit(RLIMIT_NOFILE, &old));
	close(last);
	OPEN("file", O_CREAT | O_WRONLY, 0600);
}

// lock_files creates and removes the same file in several processes at once.
static void lock_files(uid_t uid) {
	for (int i = 0; i < 3; i++) {
		if (must(fork()) > 0)
			continue;
		int failed = 0, of_others = 0;
		for (int n = 0; n < 1000; n++) {
			struct stat st;
			int fd = open("lock", O_CREAT | O_RDWR, 0600);
			if (fd < 0 || fstat(fd, &st) < 0)
				failed++;
			else if (st.st_uid != uid)
				of_others++;
			unlink("lock");
			close(fd);
		}
		printf("lock files: %d failed, %d belong to others\n", failed, of_others);
		exit(0);
	}
	while (wait(NULL) > 0)
		;
}

static void as(const char *who, uid_t uid, gid_t gid) {
	printf("as %s\n", who);
	must(mkdir(who, 0755));
	must(chown(who, uid, gid));
	fflush(stdout);
	pid_t pid = must(fork());
	if (pid == 0) {
		must(chdir(who));
		must(setgroups(0, NULL));
		must(setresgid(gid, gid, gid));
		must(setresuid(uid, uid, uid));
		must(prctl(PR_SET_DUMPABLE, 1)); // so that /proc/self belongs to the user
		kinds();
		running();
		no_descriptors();
		fflush(stdout);
		lock_files(uid);
		exit(0);
	}
	reap(pid);
}

int main(void) {
	umask(022);
	must(chmod(".", 0755));
	as("user", 1000, 1001);
	return 0;
}
