// Calls that read and write extended attributes.
#include "answer.h"

static const char access_acl[] = "system.posix_acl_access";

// get_attribute answers getxattr(2), lgetxattr(2) and fgetxattr(2).
long get_attribute(long nr, u64 object, u64 name, u64 value, u64 size) {
	long r = fast(nr, object, name, 0, 0, 0);
	if (r < 0 && r != -ENODATA && r != -EOPNOTSUPP)
		return NOTIFY;
	// Now the kernel has accepted the address of the name.
	const char *n = (const char *)name;
	if (begins(n, "user.")) {
		if (begins(n, RECORD))
			return NOTIFY;
	} else if (begins(n, "security.") || begins(n, "system.posix_acl_")) {
		if (nr == __NR_fgetxattr ? has_attributes(object, (u64)"", AT_EMPTY_PATH) : has_attributes(AT_FDCWD, object, nr == __NR_lgetxattr ? AT_SYMLINK_NOFOLLOW : 0))
			return NOTIFY;
	} else
		return NOTIFY;
	return r < 0 ? r : ask(nr, object, name, value, size, 0);
}

// struct posix_acl_xattr_header and _entry of <linux/posix_acl_xattr.h>, for an ACL without named
// users and groups.
struct minimal_acl {
	u32 version;
	struct {
		u16 tag, permissions;
		u32 id;
	} entry[3];
};
_Static_assert(sizeof(struct minimal_acl) == 28, "three entries");

// set_acl answers a fsetxattr(2) that gives a file an access ACL which says what a mode can say, as
// cp -a does for each file. The file has no other ACL, so that is chmod(2).
long set_acl(int fd, u64 name, u64 value, u64 size, u64 flags) {
	struct stat st;
	if (size != sizeof(struct minimal_acl) || (u32)flags || fast(__NR_fgetxattr, fd, name, 0, 0, 0) != -ENODATA || !begins((const char *)name, access_acl) ||
	    ((const char *)name)[sizeof(access_acl) - 1] || fast(__NR_fstat, fd, (u64)&st, 0, 0, 0) != 0 || !may_chmod(st.mode, 0) ||
	    !at_most_owned_fd(fd, st.mode))
		return NOTIFY;
	if (!readable(value) || !readable(value + size - 8))
		return NOTIFY;
	const struct minimal_acl *acl = (const struct minimal_acl *)value;
	u32 mode = st.mode & SET_ID_BITS;
	if (acl->version != 2)
		return NOTIFY;
	for (int i = 0; i < 3; i++) {
		u32 permissions = acl->entry[i].permissions;
		if (acl->entry[i].tag != (i == 0 ? 0x01 : i == 1 ? 0x04 : 0x20) || permissions & ~7) // ACL_USER_OBJ, ACL_GROUP_OBJ, ACL_OTHER
			return NOTIFY;
		mode |= permissions << (6 - 3 * i);
	}
	return change(__NR_fchmod, fd, mode, 0, 0, 0);
}
