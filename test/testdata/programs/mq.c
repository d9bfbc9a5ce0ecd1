// POSIX message queues: who may open and remove them, and who owns them.
#include "call.h"
#include "ids.h"
#include <limits.h>
#include <mqueue.h>

static const struct someone root, alice = {1001, 1001, 1001}, bob = {1002, 1002, 1002}, back = {0, 1001, 0};

static void expect(const char *what, long result) {
	printf("  %s: %s\n", what, result < 0 ? strerrorname_np(errno) : "ok");
}

// opened shows and closes a message queue.
static void opened(const char *what, mqd_t q) {
	struct stat st;
	struct mq_attr attr;
	expect(what, q);
	if (q < 0)
		return;
	must(fstat(q, &st));
	must(mq_getattr(q, &attr));
	printf("    %o %u:%u, %ld messages of %ld bytes, flags %lx, close-on-exec %d\n", st.st_mode, st.st_uid, st.st_gid,
		attr.mq_maxmsg, attr.mq_msgsize, attr.mq_flags, fcntl(q, F_GETFD));
	mq_close(q);
}

static void use(void) {
	mqd_t q;
	opened("read", mq_open("/q", O_RDONLY));
	opened("write", mq_open("/q", O_WRONLY | O_NONBLOCK));
	opened("both", mq_open("/q", O_RDWR | O_CLOEXEC));
	opened("create", mq_open("/q", O_CREAT | O_RDWR, 0600, NULL));
	opened("create anew", mq_open("/q", O_CREAT | O_EXCL | O_RDWR, 0600, NULL));
	if ((q = mq_open("/q", O_WRONLY | O_NONBLOCK)) >= 0)
		expect("send", mq_send(q, "text", 4, 0));
	mq_close(q);
	expect("chmod", (q = mq_open("/q", O_RDONLY)) < 0 ? q : fchmod(q, 0644));
	expect("chown", q < 0 ? q : fchown(q, 1001, 1002));
	mq_close(q);
	opened("read", mq_open("/q", O_RDONLY));
}

static void unlink_it(void) {
	expect("remove", mq_unlink("/q"));
	expect("remove again", mq_unlink("/q"));
	opened("read", mq_open("/q", O_RDONLY));
}

static void both(void) {
	use();
	unlink_it();
}

static int mode;

static void create(void) {
	struct mq_attr attr = {.mq_maxmsg = 3, .mq_msgsize = 70};
	umask(007);
	opened("create", mq_open("/q", O_CREAT | O_EXCL | O_RDWR, mode, &attr));
}

static void errors(void) {
	struct mq_attr none = {0}, many = {.mq_maxmsg = 1 << 30, .mq_msgsize = 1};
	char *longest = fill(NAME_MAX + 1, 'x'), *longer = fill(NAME_MAX + 2, 'x');
	longest[0] = longer[0] = '/';
	opened("missing", mq_open("/missing", O_RDONLY));
	opened("no name", mq_open("/", O_RDONLY));
	opened("no name, create", mq_open("/", O_RDONLY | O_CREAT, 0600, NULL));
	opened("slash", mq_open("/a/b", O_CREAT | O_RDWR, 0600, NULL));
	opened("dot", mq_open("/.", O_CREAT | O_RDWR, 0600, NULL));
	opened("both modes", mq_open("/q", O_RDWR | O_WRONLY));
	opened("bad pointer", syscall(SYS_mq_open, 8, O_RDONLY));
	opened("bad attributes", syscall(SYS_mq_open, "r", O_CREAT | O_RDWR, 0600, 8));
	opened("no messages", mq_open("/r", O_CREAT | O_RDWR, 0600, &none));
	opened("too many messages", mq_open("/r", O_CREAT | O_RDWR, 0600, &many));
	opened("long name", mq_open(longest, O_CREAT | O_RDWR, 0600, NULL));
	opened("too long name", mq_open(longer, O_CREAT | O_RDWR, 0600, NULL));
	expect("remove long name", mq_unlink(longest));
	expect("remove too long name", mq_unlink(longer));
	expect("remove missing", mq_unlink("/missing"));
	expect("remove bad pointer", syscall(SYS_mq_unlink, 8));
	opened("default", mq_open("/r", O_CREAT | O_RDONLY, 0666, NULL));
	expect("remove", mq_unlink("/r"));
}

int main(void) {
	static const int modes[] = {0600, 0640, 0604, 0660, 0666, 0200, 0400, 0000};
	static const struct { const char *name; const struct someone *s; gid_t group; } users[] = {
		{"root", &root, 0}, {"alice", &alice, 0}, {"bob", &bob, 0}, {"bob in group 1001", &bob, 1001}, {"root as alice", &back, 0},
	};
	must(unshare(CLONE_NEWIPC));
	for (size_t m = 0; m < sizeof modes / sizeof *modes; m++) {
		mode = modes[m];
		for (int by_root = 0; by_root < 2; by_root++)
			for (size_t i = 0; i < sizeof users / sizeof *users; i++) {
				printf("%s, mode %03o\n", by_root ? "root's" : "alice's", mode);
				run_as("creator", by_root ? root : alice, 0, create);
				run_as(users[i].name, *users[i].s, users[i].group, m % 2 ? both : use);
				run_as(users[i].name, *users[i].s, users[i].group, unlink_it);
				mq_unlink("/q");
			}
	}
	run_as("root", root, 0, errors);
	run_as("alice", alice, 0, errors);
}
