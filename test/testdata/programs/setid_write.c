// Who keeps the set-id bits of a file by writing to it: callers with CAP_FSETID. What shows
// and changes the mode afterwards.
#include "call.h"
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/xattr.h>

enum caller { ROOT, NO_FSETID, USER, USER_FSETID, CALLERS };
static const char *const callers[] = {"root", "root without CAP_FSETID", "user", "user with CAP_FSETID"};

static void become(enum caller c) {
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];
	must(setgroups(0, NULL));
	if (c == USER || c == USER_FSETID) {
		must(prctl(PR_SET_KEEPCAPS, c == USER_FSETID, 0, 0, 0));
		must(setresgid(1000, 1000, 1000));
		must(setresuid(1000, 1000, 1000));
	}
	if (c == USER || c == ROOT)
		return;
	must(syscall(SYS_capget, &head, data));
	if (c == USER_FSETID) {
		data[0].effective = 1 << CAP_FSETID;
		data[1].effective = 0;
	} else {
		data[0].effective &= ~(1U << CAP_FSETID);
	}
	must(syscall(SYS_capset, &head, data));
}

static void put(int fd) {
	if (fd < 0) {
		printf("  open: %s\n", strerrorname_np(errno));
		return;
	}
	must(write(fd, "y", 1) - 1);
}

static void with_write(int fd) { put(fd); }
static void with_nothing(int fd) { (void)fd; }
static void with_ftruncate(int fd) { must(ftruncate(fd, 2)); }
static void with_fallocate(int fd) { must(fallocate(fd, 0, 0, 10)); }
static void with_hole(int fd) { must(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1)); }
static void with_mmap(int fd) {
	char *page = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		must(-1);
	*page = 'z';
	must(munmap(page, 1));
}

static const struct {
	const char *name;
	int flags;
	void (*change)(int);
} ways[] = {
    {"open, but nothing else", O_WRONLY, with_nothing},
    {"write", O_WRONLY, with_write},
    {"write, O_RDWR", O_RDWR, with_write},
    {"append", O_WRONLY | O_APPEND, with_write},
    {"O_CREAT", O_WRONLY | O_CREAT, with_write},
    {"O_TRUNC", O_WRONLY | O_TRUNC, with_nothing},
    {"O_TRUNC, read-only", O_RDONLY | O_TRUNC, with_nothing},
    {"O_TRUNC and write", O_RDWR | O_TRUNC | O_CREAT, with_write},
    {"ftruncate", O_WRONLY, with_ftruncate},
    {"fallocate", O_WRONLY, with_fallocate},
    {"fallocate, hole", O_RDWR, with_hole},
    {"mmap", O_RDWR, with_mmap},
};

static void in_child(enum caller c, void (*f)(int), int argument) {
	fflush(stdout);
	pid_t pid = must(fork());
	if (pid == 0) {
		become(c);
		f(argument);
		fflush(stdout);
		_exit(0);
	}
	reap(pid);
}

static void one_way(int way) {
	int fd = open("file", ways[way].flags, 0600);
	if (fd < 0) {
		printf("  open: %s\n", strerrorname_np(errno));
		return;
	}
	struct stat st;
	ways[way].change(fd);
	must(fstat(fd, &st)); // while it is still open
	printf("  fstat: %06o %u:%u\n", st.st_mode, st.st_uid, st.st_gid);
	close(fd);
}

static void truncates(int unused) {
	(void)unused;
	CALL(truncate("file", 1));
}

// enlarges truncates the file beyond its end, with a limit.
static void enlarges(int unused) {
	(void)unused;
	struct rlimit limit = {1 << 20, 1 << 20};
	must(setrlimit(RLIMIT_FSIZE, &limit));
	must(signal(SIGXFSZ, SIG_IGN) == SIG_ERR ? -1 : 0);
	CALL(truncate("file", (1 << 20) + 1));
	show("file");
	CALL(truncate("file", 1 << 20));
	show("file");
	must(signal(SIGXFSZ, SIG_DFL) == SIG_ERR ? -1 : 0);
	fflush(stdout);
	CALL(truncate("file", (1 << 20) + 1));
}

static void each(mode_t mode, uid_t uid, gid_t gid, const char *content) {
	for (enum caller c = ROOT; c < CALLERS; c++) {
		for (size_t w = 0; w <= sizeof(ways) / sizeof(*ways); w++) {
			int last = w == sizeof(ways) / sizeof(*ways);
			int fd = must(open("file", O_CREAT | O_EXCL | O_WRONLY, 0600));
			must(write(fd, content, strlen(content)));
			close(fd);
			must(chown("file", uid, gid));
			must(chmod("file", mode));
			printf("%04o %u:%u, %zu bytes, %s: %s\n", mode, uid, gid, strlen(content), callers[c], last ? "truncate" : ways[w].name);
			in_child(c, last ? truncates : one_way, w);
			show("file");
			must(unlink("file"));
		}
	}
}

static int writer; // a descriptor of root

static void prepare(void) {
	make_file("file", 0755);
	must(chmod("file", 06777));
	writer = must(open("file", O_WRONLY));
	put(writer);
}

static void done(const char *what) {
	show("file");
	put(writer);
	printf("  after another write:\n");
	show("file");
	close(writer);
	printf("  closed, %s:\n", what);
	show("file");
	in_child(USER, one_way, 1);
	show("file");
	must(unlink("file"));
}

static void chmods(int mode) { CALL(chmod("file", mode)); }

int main(void) {
	umask(0);
	each(06777, 0, 0, "content");
	each(06755, 0, 0, "");
	each(04777, 42, 43, "content");
	each(04755, 1000, 1000, "content");
	each(07777, 0, 1000, "content");
	each(01777, 0, 0, "content");

	for (enum caller c = ROOT; c < CALLERS; c++) {
		printf("%s enlarges\n", callers[c]);
		make_file("file", 06755);
		must(chown("file", 1000, 1000));
		must(chmod("file", 06755));
		in_child(c, enlarges, 0);
		show("file");
		must(unlink("file"));
	}

	// While root has it open.
	static const mode_t modes[] = {0755, 0644, 04755, 02755, 06711, 01755, 07755, 01644};
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		printf("chmod %04o\n", modes[i]);
		prepare();
		must(chmod("file", modes[i]));
		done("chmod");
		printf("fchmod %04o\n", modes[i]);
		prepare();
		must(fchmod(writer, modes[i]));
		done("fchmod");
		printf("chmod %04o by its owner\n", modes[i]);
		make_file("file", 0755);
		must(chown("file", 1000, 1000));
		must(chmod("file", 06777));
		writer = must(open("file", O_WRONLY));
		in_child(USER, chmods, modes[i]);
		done("chmod");
	}
	printf("chown\n");
	prepare();
	must(chown("file", 42, 43));
	show("file");
	must(chmod("file", 0755)); // S_ISUID again, while it is open, is a known difference
	done("chown");
	printf("chown -1\n");
	prepare();
	must(chown("file", -1, -1));
	done("chown");
	printf("a link, and another name\n");
	prepare();
	must(link("file", "second"));
	must(rename("second", "third"));
	show("third");
	must(symlink("third", "symlink"));
	struct stat st;
	must(stat("symlink", &st));
	printf("  stat: %o\n", st.st_mode);
	struct statx stx;
	must(statx(AT_FDCWD, "third", 0, STATX_MODE, &stx));
	printf("  statx: %o\n", stx.stx_mode);
	done("link");
	show("third");
	must(unlink("third"));
	must(unlink("symlink"));

	printf("the attributes\n");
	prepare();
	char names[256];
	CALL(listxattr("file", names, sizeof(names)));
	close(writer);
	show("file");
	CALL(listxattr("file", names, sizeof(names)));
	put(writer = must(open("file", O_WRONLY)));
	must(setxattr("file", "user.test", "x", 1, 0));
	show("file");
	close(writer);
	CALL(access("file", W_OK));
	show("file");
	return 0;
}
