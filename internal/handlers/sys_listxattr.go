package handlers

import (
	"bytes"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// Listxattr handles listxattr(path, list, size).
func Listxattr(c *Call) Result { return c.listxattr(byPath, 1) }

// Llistxattr handles llistxattr(path, list, size).
func Llistxattr(c *Call) Result { return c.listxattr(byLink, 1) }

// Listxattrat handles listxattrat(dirfd, path, flags, list, size).
func Listxattrat(c *Call) Result { return c.listxattr(c.objectAt(), 3) }

// Flistxattr handles flistxattr(fd, list, size).
func Flistxattr(c *Call) Result { return c.listxattr(c.descriptor(), 1) }

// listxattr handles a call that lists the attributes of o into the buffer at argument buf,
// whose size is the next argument.
func (c *Call) listxattr(o object, buf int) Result {
	if r := c.reach(o, 0); r.Errno != 0 {
		return r
	}
	p, e := c.pathOf(o)
	if e != 0 {
		return Continue
	}
	var names []byte
	room, changed := 0, false
	if !p.ViaProcSelf() {
		names, room, changed = c.listFiltered(p.Ptr, p.Follow)
	}
	if !changed {
		if !p.ViaProcSelf() && !c.Target.IsLink(p) {
			return Continue
		}
		i, e := c.openPath(p) // a symbolic link may lead through /proc/self
		if e != 0 {
			return Continue
		}
		defer c.close(i)
		var s sys.FDPath
		if names, room, changed = c.listFiltered(s.Of(i.fd), true); !changed {
			return Continue
		}
	}
	if c.badDescriptor(p) {
		return Errno(unix.EBADF)
	}
	switch size := c.Data.Args[buf+1]; {
	case size == 0:
		return Return(room)
	case size < uint64(room):
		return Errno(unix.ERANGE)
	}
	return c.returnValue(names, c.addr(buf), c.Data.Args[buf+1])
}

// listFiltered lists the attributes of path that the container sees into the buffer, and
// reports whether that differs from the kernel's list. If so, room is the size that the
// kernel would require for those: on overlayfs it includes some that the kernel does not
// list.
func (c *Call) listFiltered(path *byte, follow bool) (names []byte, room int, changed bool) {
	n, e := sys.Listxattr(path, follow, c.buffer())
	if e != 0 {
		return nil, 0, false
	}
	list := c.buffer()[:n]
	hideCapability := bytes.Contains(list, []byte(capabilityXattr)) && holdsRecord(path, follow)
	names = filterNames(list, c.identity().Capable(unix.CAP_SYS_ADMIN), hideCapability)
	hidden := n - len(names)
	if hidden == 0 {
		return names, 0, false
	}
	all, _ := sys.Listxattr(path, follow, nil)
	return names, max(all, n) - hidden, true // all is -1 if the file no longer exists
}
