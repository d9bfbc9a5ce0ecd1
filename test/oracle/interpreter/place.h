// The place where programs run: /w is the tested file system, in a read-only root
// directory.
#include <linux/capability.h>
#include <linux/errno.h>
#include <linux/mount.h>
#include <linux/time_types.h>

static const char place[] = "/w";

#define LOWERS 64 // trees that an overlay has ready; afterwards it is mounted afresh
static int overlay;

static void number_name(char *name, unsigned n) {
	name[0] = '0' + n / 100 % 10;
	name[1] = '0' + n / 10 % 10;
	name[2] = '0' + n % 10;
	name[3] = 0;
}

static void new_file(const char *name, word mode, word uid, word gid, const char *content) {
	word fd = must("lower file", raw(openat, AT_FDCWD, name, O_CREAT | O_EXCL | O_WRONLY, 0600));
	must("lower write", raw(write, fd, content, length(content)));
	raw(close, fd);
	must("lower chown", raw(fchownat, AT_FDCWD, name, uid, gid, 0));
	must("lower chmod", raw(fchmodat, AT_FDCWD, name, mode));
}

static void new_directory(const char *name, word mode, word uid, word gid) {
	must("lower mkdir", raw(mkdirat, AT_FDCWD, name, 0700));
	must("lower chown", raw(fchownat, AT_FDCWD, name, uid, gid, 0));
	must("lower chmod", raw(fchmodat, AT_FDCWD, name, mode));
}

static void new_link(const char *name, const char *target, word uid, word gid) {
	must("lower symlink", raw(symlinkat, target, AT_FDCWD, name));
	must("lower lchown", raw(fchownat, AT_FDCWD, name, uid, gid, AT_SYMLINK_NOFOLLOW));
}

static void new_fifo(const char *name, word mode, word uid, word gid) {
	must("lower mkfifo", raw(mknodat, AT_FDCWD, name, 0010000 | mode, 0));
	must("lower chown", raw(fchownat, AT_FDCWD, name, uid, gid, 0));
}

// new_lower fills the working directory with files of several owners. There are no hard
// links, because overlayfs breaks them. Programs have no name for the FIFO, which could block
// them, but move its directory.
static void new_lower(void) {
	new_file("a", 0644, 0, 0, "lower a");
	new_file("b", 0600, 1000, 1000, "lower b");
	new_file("x", 04755, 1001, 1000, "#! a\n");
	new_directory("d1", 0755, 0, 0);
	new_file("d1/a", 0640, 1000, 1001, "lower d1/a");
	new_directory("d2", 0775, 1000, 1001);
	new_file("d2/b", 0666, 65534, 0, "");
	new_link("l", "d1", 1000, 1001);
	new_link("d2/m", "../a", 65534, 1000);
	new_fifo("d2/p", 0640, 1001, 1000);
}

// drop_search drops the effective capability CAP_DAC_READ_SEARCH.
static void drop_search(void) {
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct sets[2];
	must("capget", raw(capget, &head, sets));
	sets[0].effective &= ~(1U << CAP_DAC_READ_SEARCH);
	must("capset", raw(capset, &head, sets));
}

// mount_upper mounts the overlay without CAP_DAC_READ_SEARCH, as in a user namespace.
// Without the capability, overlayfs does not detect that two names in a lower layer are,
// or were, one file. A child does it: a process that has changed its capabilities is no longer
// accelerated.
static void mount_upper(void) {
	word pid = must("fork", raw(clone, 17 /* SIGCHLD */, 0, 0, 0, 0));
	if (pid == 0) {
		drop_search();
		must("mkdir", raw(mkdirat, AT_FDCWD, "/o/upper", 0755));
		must("mkdir", raw(mkdirat, AT_FDCWD, "/o/work", 0755));
		must("mount overlay", raw(mount, "overlay", place, "overlay", 0, "lowerdir=/o/lower,upperdir=/o/upper,workdir=/o/work,userxattr"));
		raw(exit_group, 0);
	}
	int status;
	while (raw(wait4, pid, &status, 0, 0) == -EINTR)
		;
	if (status)
		fail("mounting the overlay", status);
}

static void make_lowers(void) {
	char name[4];
	must("mount tmpfs", raw(mount, "tmpfs", "/o", "tmpfs", 0, "mode=0755"));
	must("mkdir", raw(mkdirat, AT_FDCWD, "/o/lower", 0755));
	for (unsigned i = 0; i < LOWERS; i++) {
		number_name(name, i);
		must("chdir", raw(chdir, "/o/lower"));
		must("mkdir", raw(mkdirat, AT_FDCWD, name, 0755));
		must("chdir", raw(chdir, name));
		new_lower();
	}
	must("chdir", raw(chdir, "/"));
}

static void remove(const char *dir) {
	static char garbage[LIMIT];
	struct out o = {garbage, garbage + sizeof(garbage)};
	must("chdir", raw(chdir, dir));
	put_tree(&o, 0);
	must("chdir", raw(chdir, "/"));
	must("rmdir", raw(unlinkat, AT_FDCWD, dir, AT_REMOVEDIR));
}

// enter_root makes the root directory of real root look like one that subuidless run has
// set up.
static void enter_root(const char *root, const char *source) {
	must("mount private", raw(mount, "", "/", "", MS_REC | MS_PRIVATE, 0));
	must("bind", raw(mount, root, root, "", MS_BIND, 0));
	must("chdir", raw(chdir, root));
	must("proc", raw(mount, "proc", "proc", "proc", 0, 0));
	if (!equal(source, "-"))
		must("bind", raw(mount, source, "w", "", MS_BIND, 0));
	must("pivot_root", raw(pivot_root, ".", "."));
	must("umount", raw(umount2, ".", 2 /* MNT_DETACH */));
	must("chdir", raw(chdir, "/"));
	must("read-only", raw(mount, "", "/", "", MS_BIND | MS_REMOUNT | MS_RDONLY, 0));
}

// make_place mounts what is not mounted yet.
static void make_place(const char *kind) {
	if (equal(kind, "tmpfs"))
		must("mount tmpfs", raw(mount, "tmpfs", place, "tmpfs", 0, "mode=0755"));
	if (equal(kind, "overlay")) {
		overlay = 1;
		make_lowers();
		mount_upper();
	}
}

// unmount_place unmounts the overlay. It waits up to a minute while the mount is busy,
// because the supervisor may still be handling a call of an actor that has been killed.
static word unmount_place(void) {
	struct __kernel_timespec pause = {0, 10 * 1000 * 1000};
	word r = raw(umount2, place, 0);
	for (int i = 0; i < 6000 && r == -EBUSY; i++) {
		raw(nanosleep, &pause, 0);
		r = raw(umount2, place, 0);
	}
	return r;
}

// enter_program creates and enters the directory of the next program, and returns its name.
static const char *enter_program(void) {
	static unsigned count;
	static char name[4];
	if (overlay && count == LOWERS) {
		must("chdir", raw(chdir, "/"));
		must("umount", unmount_place());
		remove("/o/upper");
		remove("/o/work");
		mount_upper();
		count = 0;
	}
	number_name(name, count);
	count = overlay ? count + 1 : 0;
	must("chdir", raw(chdir, place));
	if (!overlay)
		must("mkdir", raw(mkdirat, AT_FDCWD, name, 0755));
	must("chdir", raw(chdir, name));
	return name;
}
