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
	nr := uintptr(unix.SYS_LLISTXATTR)
	if p.Follow {
		nr = unix.SYS_LISTXATTR
	}
	n, _, e := syscall.RawSyscall(nr, uintptr(unsafe.Pointer(p.Ptr)), uintptr(unsafe.Pointer(&c.xbuf[0])), uintptr(len(c.xbuf)))
	if e != 0 {
		return Continue
	}
	names := c.xbuf[:n]
	at := indexName(names)
	if at < 0 {
		return Continue
	}
	if c.badDescriptor(p) {
		return Errno(unix.EBADF)
	}
	names = append(names[:at], names[at+len(owner.Xattr)+1:]...)
	return c.give(names, c.addr(buf), c.Data.Args[buf+1])
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
