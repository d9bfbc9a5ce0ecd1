package owner

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// attributeName is Xattr, NUL-terminated.
var attributeName = &[]byte(Xattr + "\x00")[0]

// object is the inode that the descriptor fd refers to.
//
// fgetxattr(2) and its relatives reject O_PATH descriptors with EBADF, and so does
// getxattrat(2) with AT_EMPTY_PATH. After the first EBADF, the object is accessed by the
// descriptor's name in /proc: see sys.FDPath.
type object struct {
	fd     int
	dev    uint64     // st_dev; 0 if not known
	byPath bool       // use path instead of fd
	path   sys.FDPath // valid if byPath
}

// switchToPath reports whether a call on fd that failed with e must be repeated by path,
// and prepares for that.
func (o *object) switchToPath(e unix.Errno) bool {
	if e != unix.EBADF || o.byPath {
		return false
	}
	o.path.Of(o.fd)
	o.byPath = true
	return true
}

// getxattr reads the attribute with the NUL-terminated name, and so on.
func (o *object) getxattr(name *byte, value []byte) (int, unix.Errno) {
	if !o.byPath {
		if n, e := sys.Fgetxattr(o.fd, name, value); !o.switchToPath(e) {
			return n, e
		}
	}
	return sys.Getxattr(&o.path[0], true, name, value)
}

func (o *object) setxattr(name *byte, value []byte, flags uint32) unix.Errno {
	if !o.byPath {
		if e := sys.Fsetxattr(o.fd, name, value, flags); !o.switchToPath(e) {
			return e
		}
	}
	return sys.Setxattr(&o.path[0], name, value, flags)
}

func (o *object) removexattr(name *byte) unix.Errno {
	if !o.byPath {
		if e := sys.Fremovexattr(o.fd, name); !o.switchToPath(e) {
			return e
		}
	}
	return sys.Removexattr(&o.path[0], true, name)
}
