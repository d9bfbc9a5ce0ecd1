// For programs that send and receive the credentials of messages on Unix sockets:
// SCM_CREDENTIALS.
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#endif
#define SCM_PIDFD 4

static int pair[2]; // [1] passes credentials
static pid_t parent, child;
static const struct someone root, user = {21000, 21000, 21000}, mixed = {21001, 21002, 21003};

static inline const char *name(pid_t pid) {
	return pid == 0 ? "nobody" : pid == getpid() ? "itself" : pid == parent ? "the parent" : pid == child ? "the child" : "somebody";
}

static inline void pass(int fd) {
	int on = 1;
	must(setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)));
}

static inline void open_pair(int type) {
	must(socketpair(AF_UNIX, type, 0, pair));
	pass(pair[1]);
}

static inline void close_pair(void) {
	close(pair[0]);
	close(pair[1]);
}

// Control messages of a message to send.
static char control[512];
static size_t used;

static inline void *put(int level, int type, size_t size) {
	struct cmsghdr *h = (void *)(control + used);
	h->cmsg_level = level;
	h->cmsg_type = type;
	h->cmsg_len = CMSG_LEN(size);
	used += CMSG_SPACE(size);
	return CMSG_DATA(h);
}

static inline void put_ids(pid_t pid, uid_t uid, gid_t gid) {
	struct ucred c = {pid, uid, gid};
	memcpy(put(SOL_SOCKET, SCM_CREDENTIALS, sizeof(c)), &c, sizeof(c));
}

static inline void put_fd(int fd) {
	memcpy(put(SOL_SOCKET, SCM_RIGHTS, sizeof(fd)), &fd, sizeof(fd));
}

// transmit sends text in two parts, with the control messages.
static inline long transmit_to(int fd, const char *text, int flags, void *address, socklen_t size) {
	struct iovec parts[2] = {{(void *)text, 1}, {(void *)(text + 1), strlen(text + 1)}};
	struct msghdr m = {address, size, parts, 2, used ? control : NULL, used, 0};
	long n = sendmsg(fd, &m, flags);
	used = 0;
	return n;
}

static inline long transmit(const char *text) { return transmit_to(pair[0], text, MSG_NOSIGNAL, NULL, 0); }

// send_ids sends text with ids of its own process.
static inline void send_ids(const char *text, uid_t uid, gid_t gid) {
	printf("  %s %d:%d: ", text, uid, gid);
	put_ids(getpid(), uid, gid);
	CALL(transmit(text));
}

// describe appends a description of the control messages to text.
static inline void describe(char *text, struct msghdr *m) {
#define ADD(...) (text += sprintf(text, __VA_ARGS__))
	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
		size_t size = h->cmsg_len - CMSG_LEN(0);
		if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_CREDENTIALS) {
			struct ucred c = {-7, 7, 7};
			memcpy(&c, CMSG_DATA(h), size < sizeof(c) ? size : sizeof(c));
			ADD(" [%zu] %d:%d, %s", size, c.uid, c.gid, size < 4 ? "?" : name(c.pid));
		} else if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS) {
			ADD(" [%zu] descriptors", size);
			for (size_t i = 0; i < size / sizeof(int); i++) {
				int fd;
				struct stat st;
				memcpy(&fd, CMSG_DATA(h) + i * sizeof(fd), sizeof(fd));
				must(fstat(fd, &st));
				ADD(" %o%s", st.st_mode & S_IFMT, must(fcntl(fd, F_GETFD)) & FD_CLOEXEC ? " close-on-exec" : "");
				close(fd);
			}
		} else if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_PIDFD) {
			int fd;
			char path[64], line[128];
			pid_t pid = -1;
			memcpy(&fd, CMSG_DATA(h), sizeof(fd));
			sprintf(path, "/proc/self/fdinfo/%d", fd);
			FILE *f = fopen(path, "r");
			while (f && fgets(line, sizeof(line), f))
				sscanf(line, "Pid: %d", &pid);
			if (f)
				fclose(f);
			ADD(" [%zu] pidfd of %s", size, pid == -1 ? "an ended process" : name(pid));
			close(fd);
		} else
			ADD(" level %d type %d", h->cmsg_level, h->cmsg_type);
	}
}

// receive receives a message with room for so many bytes of data and control messages into text,
// and describes it.
static inline long receive(int fd, char text[300], char about[2000], size_t data, size_t room, int flags) {
	char ancillary[512];
	struct sockaddr_un from = {0};
	struct iovec parts[2] = {{text, data / 2}, {text + data / 2, data - data / 2}};
	struct msghdr m = {&from, sizeof(from), parts, 2, ancillary, room, 0};
	memset(text, 0, 300);
	errno = 0;
	long n = recvmsg(fd, &m, flags);
	if (n < 0) {
		sprintf(about, "%s", strerrorname_np(errno));
		return n;
	}
	about += sprintf(about, "flags %#x control %zu", m.msg_flags, m.msg_controllen);
	if (m.msg_namelen)
		about += sprintf(about, " from %s", from.sun_path);
	describe(about, &m);
	return n;
}

static inline void take_from(int fd, size_t data, size_t room, int flags) {
	char text[300], about[2000];
	long n = receive(fd, text, about, data, room, flags);
	printf("  receives %ld \"%s\" %s\n", n, text, about);
}

static inline void take(void) { take_from(pair[1], 299, 512, 0); }

// take_bytes receives messages with so many bytes, or if size is 0 those that are there. It shows
// parts of a stream with the same credentials as one: the kernel may return them together.
static inline void take_bytes(long size) {
	char all[2000] = "", last[2000] = "", text[300], about[2000];
	int type;
	long n, got = 0;
	socklen_t length = sizeof(type);
	must(getsockopt(pair[1], SOL_SOCKET, SO_TYPE, &type, &length));
	while ((size == 0 || got < size) && (n = receive(pair[1], text, about, 299, 512, size == 0 ? MSG_DONTWAIT : 0)) > 0) {
		got += n;
		if (type == SOCK_STREAM && strcmp(about, last) == 0 && !strstr(about, "descriptors")) {
			strcat(all, text);
			continue;
		}
		if (*last)
			printf("  received \"%s\" %s\n", all, last);
		strcpy(all, text);
		strcpy(last, about);
	}
	printf("  received \"%s\" %s\n", all, last);
}

static inline void take_all(void) { take_bytes(0); }

// from_child runs f in a child as s, to its end, and then receives what it has sent.
static inline void from_child(struct someone s, void (*f)(void)) {
	struct child c = start(s, -1, f);
	child = c.pid;
	finish(c);
	take_all();
}

// to_living is from_child, and receives before the child ends.
static int sent[2], done[2];
static void (*sends)(void);
static inline void send_and_wait(void) {
	char byte = 0;
	sends();
	fflush(stdout);
	close(done[1]);
	must(write(sent[1], &byte, 1));
	must(read(done[0], &byte, 1));
}
static inline void to_living(struct someone s, void (*f)(void)) {
	char byte;
	must(pipe(sent));
	must(pipe(done));
	sends = f;
	struct child c = start(s, -1, send_and_wait);
	child = c.pid;
	go_on(c);
	must(read(sent[0], &byte, 1) - 1);
	take_all();
	close(done[0]);
	close(done[1]);
	close(sent[0]);
	close(sent[1]);
	await(c);
}

static inline const char *kind(int type) { return type == SOCK_STREAM ? "stream" : type == SOCK_DGRAM ? "datagram" : "seqpacket"; }
