package perm

import (
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
)

// SetXattr decides setxattr(2) and removexattr(2) of the attribute name. For a user.*
// attribute the caller of SetXattr must also check write permission on the inode: see
// Access. OnSockets says that the kernel stores such attributes of sockets, as Linux 7.1 and later do.
// The error is EPERM.
func SetXattr(c cred.Credentials, i Inode, name string, onSockets bool) unix.Errno {
	allowed := true
	switch {
	case name == "security.capability":
		// capabilities(7): "Writing to this extended attribute requires the CAP_SETFCAP
		// capability."
		allowed = c.CapableOver(i.UID, i.GID, unix.CAP_SETFCAP)
	case strings.HasPrefix(name, "security."), strings.HasPrefix(name, "trusted."):
		// xattr(7): "When no security module is loaded, [...] write access is limited to
		// processes that have the CAP_SYS_ADMIN capability." "Trusted extended attributes are
		// visible and accessible only to processes that have the CAP_SYS_ADMIN capability."
		allowed = c.CapableInContainer(unix.CAP_SYS_ADMIN)
	case name == "system.posix_acl_access", name == "system.posix_acl_default":
		// acl(5): the permission is the same as for chmod(2).
		allowed = Owner(c, i)
	case strings.HasPrefix(name, "user."):
		// xattr(7): "user extended attributes are allowed only for regular files and
		// directories, and access to user extended attributes is restricted to the owner and to
		// users with appropriate capabilities for directories with the sticky bit set".
		allowed = i.isType(unix.S_IFREG) || onSockets && i.isType(unix.S_IFSOCK) || i.isType(unix.S_IFDIR) && (i.Mode&unix.S_ISVTX == 0 || Owner(c, i))
	}
	if !allowed {
		return unix.EPERM
	}
	return 0
}
