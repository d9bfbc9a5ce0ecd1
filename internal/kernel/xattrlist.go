package kernel

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Listxattr answers listxattr(path, list, size).
func Listxattr(c *Call) Result { return c.list(byPath, 1) }

// Llistxattr answers llistxattr(path, list, size).
func Llistxattr(c *Call) Result { return c.list(byLink, 1) }

// Listxattrat answers listxattrat(dirfd, path, flags, list, size).
func Listxattrat(c *Call) Result { return c.list(c.objectAt(), 3) }

// Flistxattr answers flistxattr(fd, list, size).
func Flistxattr(c *Call) Result { return c.list(c.descriptor(), 1) }

// list answers with the names of the attributes of o that the container sees, in the
// buffer at argument buf, whose size is the next argument.
func (c *Call) list(o object, buf int) Result {
	if r := c.reach(o, 0); r.Errno != 0 {
		return r
	}
	p, e := c.pathOf(o)
	if e != 0 {
		return Continue
	}
	if c.xbuf == nil {
		c.xbuf = make([]byte, xattrListMax)
	}
	var names []byte
	changed := false
	if !p.Stray() {
		names, changed = c.namesAt(p.Ptr, p.Follow)
	}
	if !changed {
		if !p.Stray() && !c.Tracee.IsLink(p) {
			return Continue
		}
		fd, e := c.Tracee.Open(p, &c.stat) // a link may lead through /proc/self
		if e != 0 {
			return Continue
		}
		defer unix.Close(fd)
		var s selfFD
		if names, changed = c.namesAt(s.set(fd), true); !changed {
			return Continue
		}
	}
	if c.badDescriptor(p) {
		return Errno(unix.EBADF)
	}
	return c.give(names, c.addr(buf), c.Data.Args[buf+1])
}

// namesAt lists into c.xbuf the attributes of path that the container sees, and tells
// whether the kernel shows others.
func (c *Call) namesAt(path *byte, follow bool) (names []byte, changed bool) {
	nr := uintptr(unix.SYS_LLISTXATTR)
	if follow {
		nr = unix.SYS_LISTXATTR
	}
	n, _, e := syscall.RawSyscall(nr, uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(&c.xbuf[0])), uintptr(len(c.xbuf)))
	if e != 0 {
		return nil, false
	}
	names = shownNames(c.xbuf[:n], c.identity().Capable(unix.CAP_SYS_ADMIN))
	return names, len(names) < int(n)
}
