package owner

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// attributeName is Xattr, NUL-terminated.
var attributeName = &[]byte(Xattr + "\x00")[0]

// object is what the descriptor fd refers to.
//
// Calls on descriptors refuse O_PATH ones with EBADF, and so does getxattrat(2) with
// AT_EMPTY_PATH. The first such error switches the object to the descriptor's name:
// see sys.FDPath.
type object struct {
	fd     int
	byPath bool
	path   sys.FDPath
}

// fallBack reports whether a call is to be made again, by path, after its error e.
func (o *object) fallBack(e unix.Errno) bool {
	if e != unix.EBADF || o.byPath {
		return false
	}
	o.path.Of(o.fd)
	o.byPath = true
	return true
}

func (o *object) getxattr(value []byte) (int, unix.Errno) {
	if !o.byPath {
		if n, e := sys.Fgetxattr(o.fd, attributeName, value); !o.fallBack(e) {
			return n, e
		}
	}
	return sys.Getxattr(&o.path[0], true, attributeName, value)
}

func (o *object) setxattr(value []byte, flags uint32) unix.Errno {
	if !o.byPath {
		if e := sys.Fsetxattr(o.fd, attributeName, value, flags); !o.fallBack(e) {
			return e
		}
	}
	return sys.Setxattr(&o.path[0], attributeName, value, flags)
}

func (o *object) removexattr() unix.Errno {
	if !o.byPath {
		if e := sys.Fremovexattr(o.fd, attributeName); !o.fallBack(e) {
			return e
		}
	}
	return sys.Removexattr(&o.path[0], true, attributeName)
}
