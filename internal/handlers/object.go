package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/target"
)

// object is what a call names, before it is looked up.
type object struct {
	dirfd int32
	path  int    // the argument that is the path, or byFD
	flags uint32 // AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH
}

// byFD says that an object is the descriptor dirfd, not opened with O_PATH.
const byFD = -1

// byPath is the object at the path in argument 0.
var byPath = object{dirfd: unix.AT_FDCWD}

// byLink is the same, without following a symbolic link at its end.
var byLink = object{dirfd: unix.AT_FDCWD, flags: unix.AT_SYMLINK_NOFOLLOW}

// isNone reports whether o is AT_FDCWD, which is no descriptor where a call has no path.
func (o object) isCwd() bool { return o.path == byFD && o.dirfd == unix.AT_FDCWD }

// pathOf returns the path of o.
func (c *Call) pathOf(o object) (target.Path, unix.Errno) {
	switch {
	case o.path == byFD:
		return c.Target.FD(o.dirfd), 0
	case o.flags&^(unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH) != 0:
		return target.Path{}, unix.EINVAL
	}
	return c.Target.Path(o.dirfd, c.addr(o.path), o.flags)
}

// openObject opens the object o with O_PATH. An empty path may be "" only, and not NULL.
func (c *Call) openObject(o object) (*inode, unix.Errno) {
	if o.path == byFD {
		return c.openFD(o.dirfd)
	}
	p, e := c.pathOf(o)
	if e == 0 && c.addr(o.path) == 0 {
		e = unix.EFAULT
	}
	if e != 0 {
		return nil, e
	}
	return c.openPath(p)
}

// isOpen reports whether the caller has a descriptor fd.
func (c *Call) isOpen(fd int32) bool {
	_, e := c.Target.OpenedAsPath(fd)
	return e == 0
}

// descriptor is the object of a call whose first argument is a descriptor.
func (c *Call) descriptor() object { return object{dirfd: c.int32(0), path: byFD} }

// objectAt is the object of a call whose arguments begin with dirfd, path, flags.
func (c *Call) objectAt() object { return object{dirfd: c.int32(0), path: 1, flags: c.uint32(2)} }
