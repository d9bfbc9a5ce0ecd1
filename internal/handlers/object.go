package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
	"github.com/rootless-containers/subuidless/internal/target"
)

// object identifies the file that a call operates on, before the path is resolved.
type object struct {
	dirfd int32
	path  int    // index of the argument that holds the path, or byFD
	flags uint32 // AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH
}

// byFD in place of a path index means that the object is the descriptor dirfd itself, which
// must not have been opened with O_PATH.
const byFD = -1

// byPath is the object at the path in argument 0.
var byPath = object{dirfd: unix.AT_FDCWD}

// byLink is byPath without following a trailing symbolic link.
var byLink = object{dirfd: unix.AT_FDCWD, flags: unix.AT_SYMLINK_NOFOLLOW}

// isCwd reports whether o is AT_FDCWD in a call that takes a descriptor and no path, which
// makes the call fail with EBADF.
func (o object) isCwd() bool { return o.path == byFD && o.dirfd == unix.AT_FDCWD }

// pathOf returns the path of o. It is valid until the next path is read.
func (c *Call) pathOf(o object) (target.Path, unix.Errno) {
	switch {
	case o.path == byFD:
		return c.Target.FD(o.dirfd), 0
	case o.flags&^(unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH) != 0:
		return target.Path{}, unix.EINVAL
	}
	return c.Target.Path(o.dirfd, c.addr(o.path), o.flags)
}

// openObject opens the object o with O_PATH. Unlike pathOf, it does not accept NULL for an
// empty path.
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

// statxPath is statx(2) of the path p as the supervisor resolves it, at the cost of one system
// call: a hint, as p may lead elsewhere a moment later.
func statxPath(p target.Path, mask int, st *unix.Statx_t) unix.Errno {
	flags := 0
	if !p.Follow {
		flags = unix.AT_SYMLINK_NOFOLLOW
	}
	return sys.Statx(unix.AT_FDCWD, p.Ptr, flags, mask, st)
}

// isOpen reports whether the caller's descriptor fd is open.
func (c *Call) isOpen(fd int32) bool {
	_, e := c.Target.OpenedAsPath(fd)
	return e == 0
}

// descriptor returns the object of a call whose first argument is a descriptor.
func (c *Call) descriptor() object { return object{dirfd: c.int32(0), path: byFD} }

// objectAt returns the object of a call whose first arguments are dirfd, path and flags.
func (c *Call) objectAt() object { return object{dirfd: c.int32(0), path: 1, flags: c.uint32(2)} }
