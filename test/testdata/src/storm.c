// Makes calls while signals arrive. The effect of each call would differ if it happened
// twice or not at all. Prints each wrong result and, at the end of each process, how many
// rounds of calls had wrong results.
//
// Usage: storm SECONDS PERIOD restart|retry. A signal arrives every PERIOD microseconds.
// "restart" sets SA_RESTART; "retry" does not, and repeats calls that return EINTR.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static const char *who;
static int failures;
static long calls, interrupted;
static volatile sig_atomic_t signals;

static void wrong(const char *call, long got, long wanted, int error) {
	printf("%s: %s = %ld (%s), want %ld\n", who, call, got, error ? strerrorname_np(error) : "no error", wanted);
	fflush(stdout);
	failures++;
}

// DO repeats a call until no signal interrupts it, and stores its result in did.
static long did;
#define DO(call)                                            \
	do {                                                    \
		errno = 0;                                          \
		did = (long)(call);                                 \
		calls++;                                            \
	} while (did < 0 && errno == EINTR && ++interrupted)
#define WANT(wanted, call)                                  \
	do {                                                    \
		DO(call);                                           \
		if (did != (long)(wanted))                          \
			wrong(#call, did, wanted, errno);               \
	} while (0)
#define FAILS(error, call)                                  \
	do {                                                    \
		DO(call);                                           \
		if (did != -1 || errno != (error))                  \
			wrong(#call, did, -1, errno);                   \
	} while (0)

static void on_signal(int signal) {
	int saved = errno;
	if (++signals % 8 == 0)
		getuid(); // another notification in between
	errno = saved;
}

static void storm(long period) {
	struct itimerval every = {{0, period}, {0, period}};
	setitimer(ITIMER_REAL, &every, NULL);
}

static void belongs(const char *path, uid_t uid, gid_t gid) {
	struct stat st;
	WANT(0, lstat(path, &st));
	if (st.st_uid != uid || st.st_gid != gid)
		wrong("lstat", st.st_uid, uid, 0);
}

// For each of these, the supervisor creates the inode.
static void make(uid_t uid, gid_t gid, int first) {
	WANT(0, mkdir("d", 0755));
	FAILS(EEXIST, mkdir("d", 0755));
	belongs("d", uid, gid);
	WANT(0, symlink("target", "l"));
	FAILS(EEXIST, symlink("target", "l"));
	belongs("l", uid, gid);
	WANT(0, mknod("p", S_IFIFO | 0600, 0));
	FAILS(EEXIST, mknod("p", S_IFIFO | 0600, 0));
	belongs("p", uid, gid);
	WANT(first, open("f", O_CREAT | O_EXCL | O_RDWR, 0600));
	FAILS(EEXIST, open("f", O_CREAT | O_EXCL | O_RDWR, 0600));
	belongs("f", uid, gid);
	WANT(first + 1, open("f", O_CREAT | O_RDWR | O_CLOEXEC, 0600));
	WANT(first + 2, open(".", O_TMPFILE | O_RDWR, 0600));
	WANT(first + 3, syscall(SYS_memfd_create, "m", 0));
	struct sockaddr_un address = {AF_UNIX, "s"};
	WANT(first + 4, socket(AF_UNIX, SOCK_STREAM, 0));
	WANT(0, bind(first + 4, (struct sockaddr *)&address, sizeof(address)));
	FAILS(EADDRINUSE, bind(first + 4, (struct sockaddr *)&address, sizeof(address)));
	belongs("s", uid, gid);
	// An extra descriptor would have the lowest free number.
	for (int fd = first; fd < first + 5; fd++)
		WANT(0, close(fd));
	WANT(first, dup(0));
	WANT(0, close(first));
	FAILS(EBADF, close(first + 5));
}

static void rearrange(void) {
	WANT(0, rename("f", "g"));
	FAILS(ENOENT, rename("f", "g"));
	WANT(0, link("g", "f"));
	FAILS(EEXIST, link("g", "f"));
	WANT(0, unlink("g"));
	FAILS(ENOENT, unlink("g"));
}

static void clean(void) {
	WANT(0, unlink("f"));
	FAILS(ENOENT, unlink("f"));
	WANT(0, unlink("l"));
	WANT(0, unlink("p"));
	WANT(0, unlink("s"));
	WANT(0, rmdir("d"));
	FAILS(ENOENT, rmdir("d"));
}

// An ACL that names an id, in the format of acl(5).
static const struct {
	unsigned version;
	struct { unsigned short tag, perm; unsigned id; } entries[5];
} acl = {2, {{1, 6, -1}, {2, 4, 77}, {4, 4, -1}, {16, 4, -1}, {32, 0, -1}}};

static void attributes(void) {
	const char *name = "system.posix_acl_access";
	WANT(0, setxattr("f", name, &acl, sizeof(acl), XATTR_CREATE));
	WANT(0, removexattr("f", name));
	WANT(0, setxattr("f", "user.x", "1", 1, XATTR_CREATE));
	FAILS(EEXIST, setxattr("f", "user.x", "1", 1, XATTR_CREATE));
	WANT(0, removexattr("f", "user.x"));
	FAILS(ENODATA, removexattr("f", "user.x"));
}

static void ids(uid_t n) {
	uid_t r, e, s;
	WANT(0, setfsuid(n));
	WANT(n, setfsuid(n + 1));
	WANT(n + 1, setfsuid(0));
	WANT(0, setfsgid(n));
	WANT(n, setfsgid(0));
	WANT(0, syscall(SYS_setresuid, n, 0, n + 1));
	WANT(0, getresuid(&r, &e, &s));
	if (r != n || e != 0 || s != n + 1)
		wrong("getresuid", r, n, 0);
	WANT(0, syscall(SYS_setreuid, 0, n));
	WANT(0, syscall(SYS_setreuid, n, 0));
	WANT(0, syscall(SYS_setresuid, 0, 0, 0));
	WANT(022, umask(027));
	WANT(027, umask(022));
}

static void owners(uid_t n) {
	WANT(0, chown("f", n, n + 1));
	belongs("f", n, n + 1);
	WANT(0, lchown("l", -1, n));
	WANT(0, lchown("l", n + 1, -1));
	belongs("l", n + 1, n);
}

static int run(const char *name, uid_t uid, gid_t gid, double seconds, long period) {
	char directory[64];
	who = name;
	sprintf(directory, "%s-%u", name, uid);
	struct timespec start, now;
	clock_gettime(CLOCK_MONOTONIC, &start);
	WANT(0, mkdir(directory, 0777));
	WANT(0, chmod(directory, 0777));
	// In such a directory, the supervisor creates root's files, too.
	if (uid == 0) {
		WANT(0, chown(directory, 0, gid));
		WANT(0, chmod(directory, 02777));
	}
	WANT(0, chdir(directory));
	if (uid != 0) {
		WANT(0, setgroups(0, NULL));
		WANT(0, setresgid(gid, gid, gid));
		WANT(0, setresuid(uid, uid, uid));
	}
	int first = dup(0);
	close(first);
	storm(period);
	long rounds = 0, bad = 0;
	for (uid_t n = 3000;; n += 2) {
		int before = failures;
		make(uid, gid, first);
		attributes();
		if (uid == 0) {
			owners(n);
			ids(n);
		}
		rearrange();
		clean();
		rounds++;
		if (failures != before) { // its consequences do not count as further failures
			bad++;
			close_range(first, ~0U, 0);
			unlink("s");
		}
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec - start.tv_sec + (now.tv_nsec - start.tv_nsec) / 1e9 >= seconds)
			break;
	}
	storm(0);
	printf("%s: %ld rounds, %ld wrong, %ld calls, %d signals, %ld interrupted\n", name, rounds, bad, calls, (int)signals, interrupted);
	fflush(stdout);
	return 0;
}

int main(int argc, char **argv) {
	if (argc != 4)
		return 2;
	struct sigaction action = {.sa_handler = on_signal};
	if (strcmp(argv[3], "restart") == 0)
		action.sa_flags = SA_RESTART;
	sigaction(SIGALRM, &action, NULL);
	umask(022);
	double seconds = atof(argv[1]);
	long period = atol(argv[2]);
	if (fork() == 0)
		return run("root", 0, 7, seconds, period);
	if (fork() == 0)
		return run("user", 1000, 1001, seconds, period);
	int status, any = 0;
	while (wait(&status) > 0)
		any |= status;
	// No call has created an extra file if the directories are empty.
	who = "main";
	WANT(0, rmdir("root-0"));
	WANT(0, rmdir("user-1000"));
	return (any | failures) != 0; // failures: of the main process
}
