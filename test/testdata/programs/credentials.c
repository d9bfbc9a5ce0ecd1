// The credentials of messages on Unix sockets: SCM_CREDENTIALS.
#include "call.h"
#include "ids.h"
#include "credentials.h"
#include <netinet/in.h>

#define BAD ((void *)1)

static void plain(void) {
	CALL(write(pair[0], "written", 7));
	CALL(send(pair[0], "sent", 4, 0));
	CALL(transmit("message"));
}

static void named(void) {
	uid_t r, e, s;
	must(getresuid(&r, &e, &s));
	send_ids("real", r, r);
	send_ids("effective", e, e);
	CALL(write(pair[0], "none", 4));
	send_ids("saved", s, s);
	send_ids("mixture", e, s);
	CALL(transmit("last"));
}

static void others(void) {
	send_ids("root", 0, 0);
	send_ids("another user", 21009, getgid());
	send_ids("another group", getuid(), 21009);
	send_ids("no user", -1, getgid());
	send_ids("no group", getuid(), -1);
	put_ids(parent, getuid(), getgid());
	CALL(transmit("the parent"));
	put_ids(0x3ffffff, getuid(), getgid());
	CALL(transmit("no process"));
	put_ids(0, getuid(), getgid());
	CALL(transmit("process 0"));
	put_ids(-1, getuid(), getgid());
	CALL(transmit("process -1"));
}

static void with_files(void) {
	int fd = must(open("/", O_RDONLY | O_DIRECTORY)), ends[2];
	must(pipe(ends));
	put_fd(fd);
	CALL(transmit("implicit"));
	put_fd(fd);
	put_ids(getpid(), geteuid(), getegid());
	put_fd(ends[0]);
	CALL(transmit("explicit"));
	put_fd(0x7fff);
	put_ids(getpid(), geteuid(), getegid());
	CALL(transmit("not open"));
}

static int files[2]; // a directory and a pipe
static void five(void) {
	char text[] = "1";
	for (int i = 0; i < 5; i++, text[0]++) {
		put_ids(getpid(), geteuid(), getegid());
		put_fd(files[0]);
		put_fd(files[1]);
		must(transmit(text));
	}
}

static void malformed(void) {
	int fd = pair[0];
	struct ucred c = {getpid(), geteuid(), getegid()};
	struct msghdr m = {0};
	memcpy(put(SOL_SOCKET, SCM_CREDENTIALS, sizeof(c) - 4), &c, sizeof(c) - 4);
	CALL(transmit("short"));
	memcpy(put(SOL_SOCKET, SCM_CREDENTIALS, sizeof(c) + 4), &c, sizeof(c));
	CALL(transmit("long"));
	put_ids(c.pid, c.uid, c.gid);
	put(SOL_SOCKET, 77, 4);
	CALL(transmit("unknown"));
	put_ids(c.pid, c.uid, c.gid);
	put(IPPROTO_IP, 77, 4);
	CALL(transmit("another level"));
	put_ids(c.pid, 0x7777, c.gid);
	put_ids(c.pid, c.uid, c.gid);
	CALL(transmit("twice"));
	put_ids(c.pid, c.uid, c.gid);
	((struct cmsghdr *)control)->cmsg_len = 4;
	CALL(transmit("too small"));
	put_ids(c.pid, c.uid, c.gid);
	((struct cmsghdr *)control)->cmsg_len = 400;
	CALL(transmit("too large"));
	CALL(sendmsg(fd, BAD, 0));
	m.msg_control = BAD;
	m.msg_controllen = 64;
	CALL(sendmsg(fd, &m, 0));
	put_ids(c.pid, c.uid, c.gid);
	m.msg_control = control;
	m.msg_controllen = used;
	m.msg_iov = BAD;
	m.msg_iovlen = 1;
	CALL(sendmsg(fd, &m, 0));
	m.msg_iovlen = 1025;
	CALL(sendmsg(fd, &m, 0));
	CALL(sendmsg(0x7fff, &m, 0));
	m.msg_iovlen = 0;
	CALL(sendmsg(must(open("/dev/null", O_WRONLY)), &m, 0));
	used = 0;
	// Internet sockets ignore them.
	int inet = must(socket(AF_INET, SOCK_DGRAM, 0));
	struct sockaddr_in address = {AF_INET};
	socklen_t size = sizeof(address);
	must(bind(inet, (void *)&address, size));
	must(getsockname(inet, (void *)&address, &size));
	put_ids(c.pid, c.uid, c.gid);
	CALL(transmit_to(inet, "inet", 0, &address, size));
}

static void by_mmsg(void) {
	char text[3][8] = {"one", "two", "three"};
	struct iovec parts[3];
	struct mmsghdr m[3] = {0};
	put_ids(getpid(), geteuid(), getegid());
	for (int i = 0; i < 3; i++) {
		parts[i] = (struct iovec){text[i], strlen(text[i])};
		m[i].msg_hdr.msg_iov = &parts[i];
		m[i].msg_hdr.msg_iovlen = 1;
	}
	m[1].msg_hdr.msg_control = control;
	m[1].msg_hdr.msg_controllen = used;
	// It may send fewer.
	for (int sent = 0; sent < 3;) {
		int n = must(sendmmsg(pair[0], m + sent, 3 - sent, 0));
		for (int i = 0; i < n; i++)
			printf("  sent %u\n", m[sent + i].msg_len);
		sent += n;
	}
	used = 0;
}

static void take_mmsg(void) {
	char text[3][8] = {{0}}, ancillary[3][64];
	struct iovec parts[3];
	struct mmsghdr m[3] = {0};
	for (int got = 0, n; got < 3; got += n) {
		for (int i = 0; i < 3; i++) {
			parts[i] = (struct iovec){text[i], sizeof(text[i])};
			m[i].msg_hdr = (struct msghdr){NULL, 0, &parts[i], 1, ancillary[i], sizeof(ancillary[i]), 0};
		}
		n = must(recvmmsg(pair[1], m, 3 - got, MSG_WAITFORONE, NULL));
		for (int i = 0; i < n; i++) {
			char about[2000] = "";
			describe(about, &m[i].msg_hdr);
			printf("  receives %u %.*s%s\n", m[i].msg_len, (int)m[i].msg_len, text[i], about);
		}
	}
}

static struct sockaddr_un there = {AF_UNIX, "there"}, missing = {AF_UNIX, "missing"}, closed = {AF_UNIX, "closed"};
static void by_name(void) {
	int fd = must(socket(AF_UNIX, SOCK_DGRAM, 0));
	struct sockaddr_un own = {AF_UNIX, "own"};
	must(bind(fd, (void *)&own, sizeof(own)));
	CALL(transmit_to(fd, "plain", MSG_NOSIGNAL, &there, sizeof(there)));
	put_ids(getpid(), geteuid(), getegid());
	CALL(transmit_to(fd, "named", MSG_NOSIGNAL, &there, sizeof(there)));
	put_ids(getpid(), geteuid(), getegid());
	CALL(transmit_to(fd, "missing", MSG_NOSIGNAL, &missing, sizeof(missing)));
	put_ids(getpid(), geteuid(), getegid());
	CALL(transmit_to(fd, "closed", MSG_NOSIGNAL, &closed, sizeof(closed)));
	put_ids(getpid(), geteuid(), getegid());
	CALL(transmit("not connected"));
	must(unlink("own"));
}

int main(void) {
	static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
	int on = 1;
	parent = getpid();
	must(pipe(files));
	must(dup2(must(open("/", O_RDONLY | O_DIRECTORY)), files[0]));
	must(syscall(SETGROUPS, 0, NULL));
	must(chmod(".", 0777));
	for (int i = 0; i < 3; i++) {
		const struct someone who[] = {root, user, mixed};
		for (int j = 0; j < 3; j++) {
			printf("%s from %d\n", kind(types[i]), who[j].real);
			open_pair(types[i]);
			printf(" living\n");
			to_living(who[j], plain);
			to_living(who[j], named);
			printf(" ended\n");
			from_child(who[j], plain);
			from_child(who[j], named);
			printf(" others\n");
			from_child(who[j], others);
			printf(" files\n");
			from_child(who[j], with_files);
			printf(" malformed\n");
			from_child(who[j], malformed);
			close_pair();
		}
		open_pair(types[i]);
		printf("%s, small buffers\n", kind(types[i]));
		// Linux gives control messages that fit.
		for (size_t room = 0; room <= 64; room += 4) {
			struct child c = start(user, -1, five);
			child = c.pid;
			finish(c);
			take_from(pair[1], 299, room, MSG_PEEK);
			take_from(pair[1], 299, room, MSG_CMSG_CLOEXEC);
			take_from(pair[1], 0, room, MSG_DONTWAIT | MSG_PEEK);
			take_from(pair[1], 1, room, MSG_TRUNC);
			printf("  reads %d\n", must(read(pair[1], control, 1)));
			take_all();
		}
		close_pair();
		printf("%s, several messages\n", kind(types[i]));
		open_pair(types[i]);
		from_child(root, by_mmsg);
		from_child(user, by_mmsg);
		struct child c = start(mixed, -1, by_mmsg);
		child = c.pid;
		finish(c);
		take_mmsg();
		close_pair();
		printf("%s, without SO_PASSCRED\n", kind(types[i]));
		must(socketpair(AF_UNIX, types[i], 0, pair));
		from_child(mixed, named);
		from_child(user, with_files);
		close_pair();
	}
	printf("names\n");
	must(pair[1] = socket(AF_UNIX, SOCK_DGRAM, 0));
	must(pair[0] = socket(AF_UNIX, SOCK_DGRAM, 0));
	pass(pair[1]);
	must(bind(pair[1], (void *)&there, sizeof(there)));
	must(chmod("there", 0777));
	int other = must(socket(AF_UNIX, SOCK_DGRAM, 0));
	must(bind(other, (void *)&closed, sizeof(closed)));
	must(chmod("closed", 0700));
	from_child(user, by_name);
	from_child(root, by_name);
	close_pair();
	printf("pidfd\n");
	open_pair(SOCK_DGRAM);
	if (setsockopt(pair[1], SOL_SOCKET, SO_PASSPIDFD, &on, sizeof(on)) == 0)
		to_living(user, named);
	return 0;
}
