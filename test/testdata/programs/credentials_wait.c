// Messages with credentials on Unix sockets, and calls that wait for them.
#include "call.h"
#include "ids.h"
#include "credentials.h"
#include <sys/time.h>

// A receiver that blocks.
static void late(void) {
	for (int i = 0; i < 3; i++) {
		usleep(20000);
		must(write(pair[0], "late", 4));
	}
	usleep(20000);
	put_ids(getpid(), geteuid(), getegid());
	must(transmit("later"));
}

static volatile sig_atomic_t caught;
static void catch(int sig) { caught = sig; }

// alarm_in makes SIGALRM interrupt the caller once, or again and again. 0 ends that.
static void alarm_in(long microseconds, int again, int flags) {
	struct sigaction action = {.sa_handler = catch, .sa_flags = flags};
	struct itimerval timer = {{0, again ? microseconds : 0}, {0, microseconds}};
	must(sigaction(SIGALRM, &action, NULL));
	must(setitimer(ITIMER_REAL, &timer, NULL));
}

static void blocking(void) {
	struct timeval limit = {0, 30000};
	struct child c = start(user, -1, late);
	child = c.pid;
	printf(" blocks\n");
	go_on(c);
	take_bytes(strlen("latelatelatelater"));
	await(c);
	printf(" is interrupted\n");
	alarm_in(50000, 1, 0);
	take();
	alarm_in(0, 0, 0);
	printf(" is interrupted, and goes on\n");
	caught = 0;
	c = start(mixed, -1, late);
	child = c.pid;
	go_on(c);
	alarm_in(10000, 0, SA_RESTART);
	take_bytes(strlen("latelatelatelater"));
	while (!caught)
		usleep(1000);
	alarm_in(0, 0, 0);
	await(c);
	printf(" does not block\n");
	take_from(pair[1], 299, 512, MSG_DONTWAIT);
	must(fcntl(pair[1], F_SETFL, O_NONBLOCK));
	take();
	must(fcntl(pair[1], F_SETFL, 0));
	printf(" has a time limit\n");
	must(setsockopt(pair[1], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	take();
	must(close(pair[0]));
	printf(" at the end\n");
	char text[300], about[2000];
	printf("  %ld\n", receive(pair[1], text, about, 299, 512, 0)); // the ids mean nothing
	must(close(pair[1]));
}

// A sender that blocks, or has no receiver.
static void fill_queue(void) {
	char text[5000];
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	long sent = 0, n;
	do {
		put_ids(getpid(), geteuid(), getegid());
		n = transmit_to(pair[0], text, MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0);
		sent += n > 0;
	} while (n > 0);
	printf("  full %d %s\n", sent > 2, strerrorname_np(errno));
	fflush(stdout);
	put_ids(getpid(), geteuid(), getegid());
	CALL(transmit("the last"));
}

static void drain(void) {
	struct child c = start(user, -1, fill_queue);
	char buffer[5000], text[9] = {0};
	child = c.pid;
	go_on(c);
	usleep(50000);
	while (!strstr(text, "the last")) {
		long n = must(read(pair[1], buffer, sizeof(buffer)));
		memcpy(text, buffer + (n > 8 ? n - 8 : 0), n > 8 ? 8 : n);
	}
	await(c);
}

static void to_nobody(void) {
	struct sigaction action = {.sa_handler = catch};
	close(pair[1]);
	must(sigaction(SIGPIPE, &action, NULL));
	caught = 0;
	put_ids(getpid(), geteuid(), getegid());
	CALL(transmit("quiet"));
	printf("  caught %d\n", (int)caught);
	struct iovec part = {"loud", 4};
	struct mmsghdr m = {{.msg_iov = &part, .msg_iovlen = 1, .msg_control = control}, 0};
	put_ids(getpid(), geteuid(), getegid());
	m.msg_hdr.msg_controllen = used;
	CALL(sendmmsg(pair[0], &m, 1, 0));
	used = 0;
	printf("  caught %d\n", (int)caught);
}

// A crowd of processes waits for messages at one socket.
enum { CROWD = 40 };
static void send_all(void) {
	for (int i = 0; i < CROWD; i++)
		must(write(pair[0], "x", 1));
}

static void crowd(void) {
	int seen[2], right = 0;
	uid_t uid;
	must(pipe(seen));
	for (int i = 0; i < CROWD; i++)
		if (must(fork()) == 0) {
			char byte, ancillary[64];
			struct iovec part = {&byte, 1};
			struct msghdr m = {NULL, 0, &part, 1, ancillary, sizeof(ancillary), 0};
			must(recvmsg(pair[1], &m, 0));
			must(write(seen[1], CMSG_DATA(CMSG_FIRSTHDR(&m)) + sizeof(pid_t), sizeof(uid)));
			_exit(0);
		}
	finish(start(user, -1, send_all));
	for (int i = 0; i < CROWD; i++) {
		must(read(seen[0], &uid, sizeof(uid)) - 1);
		right += uid == user.real;
	}
	printf("  %d see the sender\n", right);
	while (wait(NULL) > 0)
		;
}

int main(void) {
	static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
	parent = getpid();
	must(syscall(SETGROUPS, 0, NULL));
	for (int i = 0; i < 3; i++) {
		open_pair(types[i]);
		printf("%s, receiver\n", kind(types[i]));
		blocking();
		printf("%s, sender\n", kind(types[i]));
		open_pair(types[i]);
		drain();
		from_child(user, to_nobody);
		close_pair();
	}
	printf("crowd\n");
	open_pair(SOCK_DGRAM);
	crowd();
	close_pair();
	return 0;
}
