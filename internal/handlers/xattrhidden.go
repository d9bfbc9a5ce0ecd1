package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/sys"
	"github.com/rootless-containers/subuidless/internal/target"
)

// hiddenOp does to the object at path what the container wants to do to a hidden attribute,
// and returns the error that the kernel gives for an attribute that does not exist.
type hiddenOp func(path *byte, follow bool) unix.Errno

// absentXattr is the name of an attribute that no file has.
var absentXattr = []byte(owner.Xattr + ".none\x00")

func getHidden(path *byte, follow bool) unix.Errno {
	_, e := sys.Getxattr(path, follow, &absentXattr[0], nil)
	return e
}

func removeHidden(path *byte, follow bool) unix.Errno {
	return sys.Removexattr(path, follow, &absentXattr[0])
}

// setHidden refuses to write the record: EPERM. chown(2) is for that.
func setHidden(path *byte, follow bool) unix.Errno {
	if e := getHidden(path, follow); e != unix.ENODATA {
		return e
	}
	return unix.EPERM
}

// onHidden handles a call on a hidden attribute of the object o by op.
func (c *Call) onHidden(o object, op hiddenOp) Result {
	if r := c.reach(o, 0); r.Errno != 0 {
		return r
	}
	p, e := c.pathOf(o)
	if e != 0 {
		return Errno(e)
	}
	if c.badDescriptor(p) {
		return Errno(unix.EBADF)
	}
	if p.ViaProcSelf() || c.Target.IsLink(p) { // a symbolic link may lead through /proc/self
		i, e := c.openPath(p)
		if e != 0 {
			return Errno(e)
		}
		defer c.close(i)
		var s sys.FDPath
		return Errno(op(s.Of(i.fd), true))
	}
	return Errno(op(p.Ptr, p.Follow))
}

// badDescriptor reports whether p is a descriptor that is not open, or was opened with
// O_PATH. The calls on attributes refuse both, with AT_EMPTY_PATH, too.
func (c *Call) badDescriptor(p target.Path) bool {
	fd, ok := p.Descriptor()
	if !ok {
		return false
	}
	path, e := c.Target.OpenedAsPath(fd)
	return e != 0 || path
}
