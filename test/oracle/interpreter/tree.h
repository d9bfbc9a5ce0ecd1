// Describes a tree of files, and removes it.
#include <linux/fcntl.h>
#include <linux/stat.h>

struct out {
	char *at, *end;
};

static void put(struct out *o, const void *bytes, unsigned long n) {
	if (o->at + n > o->end)
		fail("the tree is too large", n);
	memcpy(o->at, bytes, n);
	o->at += n;
}

static void put_number(struct out *o, uint64_t n) { put(o, &n, sizeof(n)); }

static void put_bytes(struct out *o, const void *bytes, unsigned long n) {
	put_number(o, n);
	put(o, bytes, n);
}

static void put_attributes(struct out *o, const char *name) {
	char names[4096], value[4096];
	word n = list_attributes(name, names, sizeof(names));
	put_number(o, n);
	for (word i = 0; i < n; i += length(names + i) + 1) {
		put_bytes(o, names + i, length(names + i));
		word size = raw(lgetxattr, name, names + i, value, sizeof(value));
		put_number(o, size);
		if (size > 0)
			put(o, value, size);
	}
}

// put_inode describes a file of the working directory.
static unsigned put_inode(struct out *o, const char *name) {
	struct statx st = {0};
	char content[256];
	word n = raw(statx, AT_FDCWD, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &st);
	put_number(o, n);
	if (n < 0)
		return 0;
	uint64_t shown[] = {st.stx_mode, st.stx_nlink, st.stx_uid, st.stx_gid, st.stx_size, st.stx_rdev_major, st.stx_rdev_minor};
	put(o, shown, sizeof(shown));
	put_attributes(o, name);
	unsigned type = st.stx_mode & 0170000;
	n = 0;
	if (type == 0120000) {
		n = raw(readlinkat, AT_FDCWD, name, content, sizeof(content));
	} else if (type == 0100000 && st.stx_size > 0) {
		n = raw(openat, AT_FDCWD, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
		if (n >= 0) {
			word fd = n;
			n = raw(read, fd, content, sizeof(content));
			raw(close, fd);
		}
	}
	put_number(o, n);
	if (n > 0)
		put(o, content, n);
	return type;
}

struct entry {
	uint64_t ino, off;
	uint16_t size;
	uint8_t type;
	char name[];
};

// put_tree describes what is in the working directory, and removes it. If the directory
// only is given, it keeps other names of three bytes: in an overlay, they are the
// directories for other programs.
static void put_tree(struct out *o, const char *only) {
	char entries[8192];
	word fd = must("open .", raw(openat, AT_FDCWD, ".", O_RDONLY | O_DIRECTORY, 0));
	// The directory is read completely before anything in it is removed.
	word n = 0, r;
	while ((r = raw(getdents64, fd, entries + n, sizeof(entries) - n)) > 0)
		n += r;
	if (r < 0)
		fail("getdents64", r);
	for (word i = 0; i < n; i += ((struct entry *)(entries + i))->size) {
		struct entry *e = (struct entry *)(entries + i);
		if (equal(e->name, ".") || equal(e->name, "..") || (only && length(e->name) == 3 && !equal(e->name, only)))
			continue;
		put_bytes(o, e->name, length(e->name));
		put_number(o, e->type);
		if (put_inode(o, e->name) == 0040000) {
			must("chdir", raw(chdir, e->name));
			put_tree(o, 0);
			must("fchdir", raw(fchdir, fd));
			must("rmdir", raw(unlinkat, AT_FDCWD, e->name, AT_REMOVEDIR));
		} else {
			must("unlink", raw(unlinkat, AT_FDCWD, e->name, 0));
		}
	}
	put_number(o, 0);
	raw(close, fd);
}
