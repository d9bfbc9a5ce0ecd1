package owner

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// A file system without user.* attributes should say EOPNOTSUPP. Servers of network file systems
// and FUSE say other things, and not the same when an attribute is read. The record of an inode
// whose file system refuses the attribute is in the sidecar, whatever the error. Where reading
// does not say EOPNOTSUPP, either, hintRefused makes everybody look in the sidecar, too.

// refuses reports whether e, from setting or removing the attribute of o, means that the file
// system does not take it. EPERM and EACCES also belong to inodes that nobody may change: for
// these they are the right answer.
func (o *object) refuses(e unix.Errno) bool {
	switch e {
	case unix.EOPNOTSUPP, unix.ENOSYS, unix.EINVAL, unix.E2BIG, unix.ENODATA:
		return true
	case unix.EPERM, unix.EACCES:
		var st unix.Statx_t
		const fixed = unix.STATX_ATTR_IMMUTABLE | unix.STATX_ATTR_APPEND
		return sys.Statx(o.fd, sys.Empty, unix.AT_EMPTY_PATH, unix.STATX_TYPE, &st) == 0 && st.Attributes&fixed == 0
	}
	return false
}

// noteRefusal makes the entry of o found, which is a regular file or directory whose file system
// refuses the attribute.
func (s *Store) noteRefusal(o *object) {
	if _, e := o.getxattr(attributeName, nil); e != unix.EOPNOTSUPP {
		s.noteLasting(hintRefused)
	}
}
