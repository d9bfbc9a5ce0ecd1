package kernel

import (
	"bytes"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
)

// Listxattr answers listxattr(path, list, size).
func Listxattr(c *Call) Result { return c.list(byPath, 1) }

// Llistxattr answers llistxattr(path, list, size).
func Llistxattr(c *Call) Result { return c.list(byLink, 1) }

// Listxattrat answers listxattrat(dirfd, path, flags, list, size).
func Listxattrat(c *Call) Result { return c.list(c.objectAt(), 3) }

// Flistxattr answers flistxattr(fd, list, size).
func Flistxattr(c *Call) Result { return c.list(c.descriptor(), 1) }

// list answers with the names of the attributes of o but the hidden one, in the
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
	at := -1
	if !p.Stray() {
		names, at = c.namesAt(p.Ptr, p.Follow)
	}
	if at < 0 {
		if !p.Stray() && !c.Tracee.IsLink(p) {
			return Continue
		}
		fd, e := c.Tracee.Open(p, &c.stat) // a link may lead through /proc/self
		if e != 0 {
			return Continue
		}
		defer unix.Close(fd)
		var s selfFD
		if names, at = c.namesAt(s.set(fd), true); at < 0 {
			return Continue
		}
	}
	if c.badDescriptor(p) {
		return Errno(unix.EBADF)
	}
	names = append(names[:at], names[at+len(owner.Xattr)+1:]...)
	return c.give(names, c.addr(buf), c.Data.Args[buf+1])
}

// namesAt lists the attributes of path into c.xbuf, and returns where the hidden name starts, or -1.
func (c *Call) namesAt(path *byte, follow bool) (names []byte, at int) {
	nr := uintptr(unix.SYS_LLISTXATTR)
	if follow {
		nr = unix.SYS_LISTXATTR
	}
	n, _, e := syscall.RawSyscall(nr, uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(&c.xbuf[0])), uintptr(len(c.xbuf)))
	if e != 0 {
		return nil, -1
	}
	return c.xbuf[:n], indexName(c.xbuf[:n])
}

// indexName returns where the hidden name starts in a list of NUL-terminated
// names, or -1.
func indexName(names []byte) int {
	for at := 0; at < len(names); {
		end := bytes.IndexByte(names[at:], 0)
		if end < 0 {
			return -1
		}
		if string(names[at:at+end]) == owner.Xattr {
			return at
		}
		at += end + 1
	}
	return -1
}
