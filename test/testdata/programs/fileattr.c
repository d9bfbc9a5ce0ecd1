// file_getattr and file_setattr (Linux 6.17); statmount and listmount (6.8) from a
// changed root directory; and calls and flags of later kernels.
#include "call.h"
#include "ids.h"
#include <linux/capability.h>
#include <linux/fs.h>
#include <sys/mount.h>
#include <sys/vfs.h>

#define BAD ((void *)1)
#define SYS_FILE_GETATTR 468
#define SYS_FILE_SETATTR 469
#define SYS_FCHROOT 472
#define SYS_STATMOUNT 457
#define SYS_LISTMOUNT 458

struct attr { uint64_t xflags; uint32_t extsize, nextents, projid, cowextsize; };

static void attributes(void) {
	static const char *const names[] = {"own", "roots", "link", "fifo", "none", "private/file", "tmpfs/own", "tmpfs/roots", "readonly/roots", "/proc/self/status"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *name = names[i];
		struct attr a = {0}, unknown = {.xflags = 1ull << 40};
		printf("%s\n", name);
		CALL(syscall(SYS_FILE_GETATTR, AT_FDCWD, name, &a, sizeof(a), 0));
		CALL(syscall(SYS_FILE_GETATTR, AT_FDCWD, name, &a, sizeof(a), AT_SYMLINK_NOFOLLOW));
		CALL(syscall(SYS_FILE_SETATTR, AT_FDCWD, name, &a, sizeof(a), 0));
		CALL(syscall(SYS_FILE_SETATTR, AT_FDCWD, name, &a, sizeof(a), AT_SYMLINK_NOFOLLOW));
		CALL(syscall(SYS_FILE_SETATTR, AT_FDCWD, name, &unknown, sizeof(a), 0));
		CALL(syscall(SYS_FILE_SETATTR, AT_FDCWD, name, &a, sizeof(a), 1));
		CALL(syscall(SYS_FILE_SETATTR, AT_FDCWD, name, &a, 8, 0));
		CALL(syscall(SYS_FILE_SETATTR, AT_FDCWD, name, &a, 5000, 0));
		CALL(syscall(SYS_FILE_SETATTR, AT_FDCWD, name, BAD, sizeof(a), 0));
		int fd = open(name, O_PATH);
		CALL(syscall(SYS_FILE_GETATTR, fd, "", &a, sizeof(a), AT_EMPTY_PATH));
		CALL(syscall(SYS_FILE_GETATTR, fd, NULL, &a, sizeof(a), AT_EMPTY_PATH));
		CALL(syscall(SYS_FILE_SETATTR, fd, "", &a, sizeof(a), AT_EMPTY_PATH));
		CALL(syscall(SYS_FILE_SETATTR, fd, "", &a, sizeof(a), 0));
		close(fd);
	}
	struct attr a = {0};
	CALL(syscall(SYS_FILE_GETATTR, AT_FDCWD, BAD, &a, sizeof(a), 0));
	CALL(syscall(SYS_FILE_SETATTR, AT_FDCWD, BAD, &a, sizeof(a), 0));
	CALL(syscall(SYS_FILE_SETATTR, -1, "own", &a, sizeof(a), 0));
}

struct request { uint32_t size, spare; uint64_t mount, param, ns; };

static uint64_t inside, outside;

static void ask(struct request *r) {
	char buffer[4096];
	uint64_t ids[64];
	r->param = 1; // STATMOUNT_SB_BASIC
	CALL(syscall(SYS_STATMOUNT, r, buffer, sizeof(buffer), 0));
	CALL(syscall(SYS_STATMOUNT, r, buffer, 1, 0));
	CALL(syscall(SYS_STATMOUNT, r, buffer, sizeof(buffer), 0x100));
	r->param = 0;
	long n = (errno = 0, syscall(SYS_LISTMOUNT, r, ids, 64, 0));
	report("listmount", n > 0 ? 1 : n);
	CALL(syscall(SYS_LISTMOUNT, r, ids, 64, 0x100));
	CALL(syscall(SYS_LISTMOUNT, r, BAD, 64, 0));
}

static void mounts(void) {
	struct request r = {.size = 24};
	printf("inside\n");
	r.mount = (uint64_t)-1, ask(&r); // LSMT_ROOT
	r.mount = inside, ask(&r);
	printf("outside\n");
	r.mount = outside, ask(&r);
	printf("none\n");
	r.mount = 1, ask(&r);
	printf("wrong sizes\n");
	r.mount = outside;
	r.size = 32, ask(&r);
	r.size = 8, ask(&r);
	r.size = 5000, ask(&r);
	CALL(syscall(SYS_STATMOUNT, BAD, &r, sizeof(r), 0));
	CALL(syscall(SYS_LISTMOUNT, BAD, &r, 1, 0));
}

static void enter_jail(void) {
	must(chroot("jail"));
	must(chdir("/"));
}

static void chrooted(void) {
	enter_jail();
	become((struct someone){21000, 21000, 21000});
	mounts();
}

static void root_chrooted(void) {
	enter_jail();
	mounts();
}

static uint64_t mount_of(const char *path) {
	struct statx st;
	must(statx(AT_FDCWD, path, 0, 0x4000, &st)); // STATX_MNT_ID_UNIQUE
	return st.stx_mnt_id;
}

// In a mount namespace of its own.
static void elsewhere(void) {
	must(unshare(CLONE_NEWNS));
	must(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	inside = mount_of("jail"), outside = mount_of("tmpfs");
	chrooted();
}

// Two root directories have a file of the same name: fchroot decides which of them later calls mean.
static void fchroots(void) {
	int inner = must(open("inner", O_RDONLY | O_DIRECTORY)), where = must(open("where", O_RDONLY));
	CALL(syscall(SYS_FCHROOT, where, 0));
	CALL(syscall(SYS_FCHROOT, inner, 1));
	CALL(syscall(SYS_FCHROOT, inner, 0));
	CALL(chown("/where", 7, 8));
	CALL(chown("where", 9, 10));
	show("/where");
	show("where");
	CALL(access("/inner/where", F_OK));
}

static void root_fchroots(void) {
	enter_jail();
	fchroots();
}

static void user_fchroots(void) {
	enter_jail();
	become((struct someone){21000, 21000, 21000});
	fchroots();
}

static void show_roots(void) {
	show("jail/where");
	show("jail/inner/where");
}

// What only later kernels know: fchroot and failfs (7.3), empty mount namespaces (7.1) and
// OPEN_TREE_NAMESPACE (7.0).
static void later(void) {
	CALL(syscall(SYS_FCHROOT, -1, 0));
	CALL(syscall(SYS_FCHROOT, -10004, 0));
	CALL(unshare(0x00100000));
	show("own");
	CALL(chown("own", 21000, 7));
	CALL(unshare(0x00100000 | CLONE_NEWNS));
	CALL(syscall(SYS_open_tree, AT_FDCWD, ".", 0) >= 0);
	CALL(syscall(SYS_open_tree, AT_FDCWD, ".", 1) >= 0);
	CALL(syscall(SYS_open_tree, AT_FDCWD, ".", 2));
	CALL(syscall(SYS_open_tree, AT_FDCWD, ".", 3));
	CALL(syscall(SYS_open_tree, AT_FDCWD, ".", 0x8000));
	CALL(syscall(SYS_open_tree, AT_FDCWD, ".", 0x8001) >= 0);
	CALL(syscall(SYS_open_tree, AT_FDCWD, "none", 1));
	struct { uint64_t flags, rest[10]; } args = {.flags = 1ull << 37};
	pid_t child = (errno = 0, syscall(SYS_clone3, &args, sizeof(args)));
	if (child == 0)
		_exit(0);
	report("clone3", child < 0 ? child : waitpid(child, NULL, __WALL) != child);
	CALL(syscall(999));
	CALL(syscall(473));
}

static const struct someone root = {0, 0, 0}, user = {21000, 21000, 21000};

int main(void) {
	must(chmod(".", 0755));
	must(unshare(CLONE_NEWNS));
	must(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	must(mkdir("tmpfs", 0755));
	must(mkdir("readonly", 0755));
	must(mkdir("jail", 0755));
	must(mkdir("private", 0700));
	make_file("private/file", 0666);
	make_file("own", 0666);
	make_file("roots", 0666);
	must(symlink("own", "link"));
	must(mkfifo("fifo", 0666));
	must(chown("own", 21000, 21000));
	must(mount("none", "tmpfs", "tmpfs", 0, "mode=755"));
	must(mount("none", "jail", "tmpfs", 0, "mode=755"));
	make_file("tmpfs/own", 0666);
	make_file("tmpfs/roots", 0666);
	must(chown("tmpfs/own", 21000, 21000));
	must(mkdir("jail/inner", 0755));
	make_file("jail/where", 0644);
	make_file("jail/inner/where", 0644);
	must(mount("none", "readonly", "tmpfs", 0, "mode=755"));
	make_file("readonly/roots", 0666);
	must(mount("none", "readonly", "tmpfs", MS_REMOUNT | MS_RDONLY, NULL));
	inside = mount_of("jail"), outside = mount_of("tmpfs");
	finish(start(root, -1, attributes));
	finish(start(user, -1, attributes));
	finish(start(root, -1, mounts));
	finish(start(user, -1, mounts));
	printf("in a jail\n");
	finish(start(root, -1, root_chrooted));
	finish(start(root, -1, chrooted));
	printf("in a jail in another namespace\n");
	finish(start(root, -1, elsewhere));
	printf("fchroot\n");
	finish(start(root, -1, root_fchroots));
	show_roots();
	finish(start(root, -1, user_fchroots));
	show_roots();
	finish(start(root, -1, later));
	finish(start(user, -1, later));
	return 0;
}
