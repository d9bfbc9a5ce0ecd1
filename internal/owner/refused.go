package owner

import (
	"bytes"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// A file system without user.* attributes should say EOPNOTSUPP. Servers of network file systems
// and FUSE say other things, and not the same when an attribute is read. The record of an inode
// whose file system refuses the attribute is in the sidecar, whatever the error. Where reading
// does not say EOPNOTSUPP, either, hintRefused makes everybody look in the sidecar, too.
//
// Others say that they have set the attribute, and drop it. So the first one on each file system
// is read back: see keeps.

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
		if s.Refused != nil {
			s.Refused()
		}
	}
}

// keeping remembers file systems that have kept the attribute and the capability attribute, by
// st_dev. It is direct-mapped: a file system that another one has displaced is tried once more.
// Memory of zeros is empty.
type keeping [2][64]atomic.Uint64

// keeps reports whether o has the attribute that has just been set. It makes a system call for the
// first one of each name on each file system only.
func (s *Store) keeps(o *object, name *byte, value []byte) bool {
	kind := 0
	if name == capabilityName {
		kind = 1
	}
	slot := &s.keeping[kind][o.dev*0x9e3779b97f4a7c15>>(64-6)] // Fibonacci hashing
	if o.dev != 0 && slot.Load() == o.dev {
		return true
	}
	var small [smallValue]byte
	got, e := readValue(o, name, small[:])
	switch {
	case e == unix.ENODATA, e == unix.EOPNOTSUPP, e == 0 && !bytes.Equal(got, value):
		return false
	case e == 0:
		slot.Store(o.dev)
	}
	return true // also if it cannot be read at the moment: it has been set
}

// setAttribute sets the attribute of o. Flags are those of setxattr(2). The error is EOPNOTSUPP if
// the file system drops the value.
func (s *Store) setAttribute(o *object, value []byte, flags uint32) unix.Errno {
	e := o.setxattr(attributeName, value, flags)
	if e == 0 && !s.keeps(o, attributeName, value) {
		return unix.EOPNOTSUPP
	}
	return e
}
