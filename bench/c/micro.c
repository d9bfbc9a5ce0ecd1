// micro repeats one system call, or a few that belong together, for a while and prints
// the nanoseconds that one repetition took.
//
// It is linked against the shared libc and calls only libc's own functions, because
// fakeroot and pseudo emulate by LD_PRELOAD and would not see a raw system call.

#define _GNU_SOURCE
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// The clock is read once per batch, so that this does not affect the figure of a 100 ns call.
enum { BATCH = 64 };

static const char *path;
static int fd;
static unsigned ids[2];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void call_stat(unsigned n)
{
	struct stat st;
	(void)n;
	if (stat(path, &st) < 0)
		die("stat");
}

static void call_fstat(unsigned n)
{
	struct stat st;
	(void)n;
	if (fstat(fd, &st) < 0)
		die("fstat");
}

static void call_chown(unsigned n)
{
	unsigned id = ids[n % 2];
	if (fchownat(AT_FDCWD, path, id, id, 0) < 0)
		die("fchownat");
}

static void call_create(unsigned n)
{
	(void)n;
	int created = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (created < 0)
		die("open(O_CREAT)");
	close(created);
	if (unlink(path) < 0)
		die("unlink");
}

static void call_geteuid(unsigned n)
{
	(void)n;
	geteuid();
}

// To another effective id and back. Where 0 is the only id, the other one is 0, too.
static void call_setresuid(unsigned n)
{
	(void)n;
	if (setresuid(0, ids[1], 0) < 0 || setresuid(0, 0, 0) < 0)
		die("setresuid");
}

static void call_mkdir(unsigned n)
{
	(void)n;
	if (mkdir(path, 0755) < 0)
		die("mkdir");
	if (rmdir(path) < 0)
		die("rmdir");
}

static void call_shell(unsigned n)
{
	(void)n;
	int status;
	pid_t child = fork();
	if (child < 0)
		die("fork");
	if (child == 0) {
		execl("/bin/sh", "sh", "-c", ":", NULL);
		die("/bin/sh");
	}
	if (waitpid(child, &status, 0) < 0)
		die("waitpid");
	if (status) {
		fprintf(stderr, "micro: sh ended with wait status %#x\n", status);
		exit(1);
	}
}

static void send_byte(int to)
{
	char byte = 0;
	struct iovec part = { &byte, 1 };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };
	if (sendmsg(to, &m, MSG_NOSIGNAL) != 1)
		die("sendmsg");
}

// receive_byte returns 0 if the peer has ended.
static int receive_byte(int from)
{
	char byte, control[64];
	struct iovec part = { &byte, 1 };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
	ssize_t n = recvmsg(from, &m, 0);
	if (n < 0)
		die("recvmsg");
	return n;
}

// A message to itself.
static void call_message(unsigned n)
{
	static int pair[2];
	(void)n;
	if (!pair[1] && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		die("socketpair");
	send_byte(pair[0]);
	receive_byte(pair[1]);
}

// connect_tcp connects two sockets by the loopback interface.
static void connect_tcp(int pair[2])
{
	struct sockaddr_in a = { AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof a;
	int on = 1, listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(listening, (struct sockaddr *)&a, size) < 0 || listen(listening, 1) < 0 ||
	    getsockname(listening, (struct sockaddr *)&a, &size) < 0)
		die("a listening socket");
	pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(pair[0], (struct sockaddr *)&a, size) < 0 || (pair[1] = accept4(listening, NULL, NULL, SOCK_CLOEXEC)) < 0)
		die("a connection");
	for (int i = 0; i < 2; i++)
		setsockopt(pair[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	close(listening);
}

// A byte to another process, and back.
static void call_echo(unsigned n)
{
	static int pair[2];
	(void)n;
	if (!pair[1]) {
		connect_tcp(pair);
		pid_t child = fork();
		if (child < 0)
			die("fork");
		if (child == 0) {
			close(pair[0]);
			while (receive_byte(pair[1]))
				send_byte(pair[1]);
			_exit(0);
		}
	}
	send_byte(pair[0]);
	receive_byte(pair[0]);
}

static const struct {
	const char *name;
	void (*call)(unsigned);
	int needs_file;
} loops[] = {
	{ "stat", call_stat, 1 },
	{ "fstat", call_fstat, 1 },
	{ "chown", call_chown, 1 },
	{ "create", call_create, 0 },
	{ "geteuid", call_geteuid, 0 },
	{ "setresuid", call_setresuid, 0 },
	{ "mkdir", call_mkdir, 0 },
	{ "shell", call_shell, 0 },
	{ "message", call_message, 0 },
	{ "echo", call_echo, 0 },
};

static double now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

static void batch(void (*call)(unsigned))
{
	for (unsigned n = 0; n < BATCH; n++)
		call(n);
}

static double measure(void (*call)(unsigned), double nanoseconds)
{
	batch(call); // uncounted: the first calls fill caches and resolve symbols
	double calls = 0, start = now(), elapsed;
	do {
		batch(call);
		calls += BATCH;
		elapsed = now() - start;
	} while (elapsed < nanoseconds);
	return elapsed / calls;
}

int main(int argc, char **argv)
{
	if (argc != 6) {
		fprintf(stderr, "usage: micro LOOP PATH MILLISECONDS ID ID\n");
		return 2;
	}
	path = argv[2];
	ids[0] = strtoul(argv[4], NULL, 10);
	ids[1] = strtoul(argv[5], NULL, 10);
	for (size_t i = 0; i < sizeof loops / sizeof loops[0]; i++) {
		if (strcmp(loops[i].name, argv[1]))
			continue;
		if (loops[i].needs_file) {
			fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
			if (fd < 0)
				die(path);
		}
		printf("%.2f\n", measure(loops[i].call, atof(argv[3]) * 1e6));
		return 0;
	}
	fprintf(stderr, "micro: no loop named %s\n", argv[1]);
	return 2;
}
