package kernel

import (
	"bytes"
	"encoding/binary"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/tracee"
)

// The container does not see user.rootlesscontainers. Of the other attributes
// the kernel is in charge.

// Getxattr answers getxattr(path, name, value, size).
func Getxattr(c *Call) Result { return c.getxattr(unix.AT_FDCWD, 0, 0, 1) }

// Lgetxattr answers lgetxattr(path, name, value, size).
func Lgetxattr(c *Call) Result { return c.getxattr(unix.AT_FDCWD, 0, unix.AT_SYMLINK_NOFOLLOW, 1) }

// Fgetxattr answers fgetxattr(fd, name, value, size).
func Fgetxattr(c *Call) Result { return c.hiddenFD(1, absent) }

// Getxattrat answers getxattrat(dirfd, path, flags, name, args, size).
func Getxattrat(c *Call) Result {
	if !c.argsFlags(4, 0) {
		return Continue
	}
	return c.getxattr(c.int32(0), 1, c.uint32(2), 3)
}

// Setxattr answers setxattr(path, name, value, size, flags).
func Setxattr(c *Call) Result { return c.setxattr(0) }

// Lsetxattr answers lsetxattr(path, name, value, size, flags).
func Lsetxattr(c *Call) Result { return c.setxattr(unix.AT_SYMLINK_NOFOLLOW) }

func (c *Call) setxattr(flags uint32) Result {
	if c.uint32(4)&^setFlags != 0 {
		return Continue
	}
	return c.hiddenPath(unix.AT_FDCWD, 0, flags, 1, forbidden)
}

// Fsetxattr answers fsetxattr(fd, name, value, size, flags).
func Fsetxattr(c *Call) Result {
	if c.uint32(4)&^setFlags != 0 {
		return Continue
	}
	return c.hiddenFD(1, forbidden)
}

// Setxattrat answers setxattrat(dirfd, path, flags, name, args, size).
func Setxattrat(c *Call) Result {
	if !c.argsFlags(4, setFlags) {
		return Continue
	}
	return c.hiddenPath(c.int32(0), 1, c.uint32(2), 3, forbidden)
}

// setFlags are the flags of setxattr(2). The kernel refuses others before it
// looks at the name: EINVAL.
const setFlags = unix.XATTR_CREATE | unix.XATTR_REPLACE

// argsFlags tells whether the struct xattr_args at argument i is one that the
// kernel would go on with: one of at least 16 bytes, with no flag but the allowed.
func (c *Call) argsFlags(i int, allowed uint32) bool {
	var args [16]byte // value, size, flags
	if c.Data.Args[i+1] < uint64(len(args)) {
		return false
	}
	n, e := c.Tracee.Read(c.addr(i), args[:])
	return e == 0 && n == len(args) && binary.LittleEndian.Uint32(args[12:])&^allowed == 0
}

// Removexattr answers removexattr(path, name).
func Removexattr(c *Call) Result { return c.hiddenPath(unix.AT_FDCWD, 0, 0, 1, removal) }

// Lremovexattr answers lremovexattr(path, name).
func Lremovexattr(c *Call) Result {
	return c.hiddenPath(unix.AT_FDCWD, 0, unix.AT_SYMLINK_NOFOLLOW, 1, removal)
}

// Fremovexattr answers fremovexattr(fd, name).
func Fremovexattr(c *Call) Result { return c.hiddenFD(1, removal) }

// Removexattrat answers removexattrat(dirfd, path, flags, name).
func Removexattrat(c *Call) Result { return c.hiddenPath(c.int32(0), 1, c.uint32(2), 3, removal) }

// Probe is the name of an extended attribute that the file "/" has under
// supervision, with the value "1": it tells a nested subuidless where it is.
const Probe = owner.Xattr + ".supervised"

// getxattr answers the forms of getxattr that take a path.
func (c *Call) getxattr(dirfd int32, path int, flags uint32, name int) Result {
	switch c.nameOf(name) {
	case ordinary:
		return Continue
	case probe:
		return Return(1)
	}
	return c.hiddenPath(dirfd, path, flags, name, absent)
}

// nameKind says what an extended attribute's name is to the container.
type nameKind int

const (
	ordinary nameKind = iota
	hidden
	probe
)

// nameOf reads the name at argument i.
func (c *Call) nameOf(i int) nameKind {
	var b [len(Probe) + 1]byte
	n, e := c.Tracee.ReadString(c.addr(i), b[:])
	switch {
	case e != 0:
		return ordinary
	case string(b[:n]) == owner.Xattr:
		return hidden
	case string(b[:n]) == Probe:
		return probe
	}
	return ordinary
}

// An attempt does to the object at path what the container wants to do to the
// hidden attribute, and says what it gives for an attribute that is not there.
type attempt func(path *byte, follow bool) unix.Errno

// unused is the name of an attribute that no file has.
var unused = []byte(owner.Xattr + ".none\x00")

func absent(path *byte, follow bool) unix.Errno {
	nr := uintptr(unix.SYS_LGETXATTR)
	if follow {
		nr = unix.SYS_GETXATTR
	}
	_, _, e := syscall.RawSyscall6(nr, uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(&unused[0])), 0, 0, 0, 0)
	return e
}

func removal(path *byte, follow bool) unix.Errno {
	nr := uintptr(unix.SYS_LREMOVEXATTR)
	if follow {
		nr = unix.SYS_REMOVEXATTR
	}
	_, _, e := syscall.RawSyscall(nr, uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(&unused[0])), 0)
	return e
}

// forbidden refuses to write the record of the owner: that is what chown(2) is for.
func forbidden(path *byte, follow bool) unix.Errno {
	if e := absent(path, follow); e != unix.ENODATA {
		return e
	}
	return unix.EPERM
}

// hiddenPath answers a call on the attribute named by argument name of the file
// at argument path.
func (c *Call) hiddenPath(dirfd int32, path int, flags uint32, name int, try attempt) Result {
	if flags&^(unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH) != 0 || c.nameOf(name) != hidden {
		return Continue
	}
	p, e := c.Tracee.Path(dirfd, c.addr(path), flags)
	if e != 0 {
		return Errno(e)
	}
	return c.try(p, try)
}

// hiddenFD answers a call on the attribute named by argument name of the
// descriptor in argument 0.
func (c *Call) hiddenFD(name int, try attempt) Result {
	if c.nameOf(name) != hidden {
		return Continue
	}
	return c.try(c.Tracee.FD(c.int32(0)), try)
}

// try makes an attempt on the object that p names.
func (c *Call) try(p tracee.Path, try attempt) Result {
	if c.badDescriptor(p) {
		return Errno(unix.EBADF)
	}
	return Errno(try(p.Ptr, p.Follow))
}

// badDescriptor tells whether p is a descriptor that is not open, or was opened
// with O_PATH: the calls on attributes refuse it, with AT_EMPTY_PATH too.
func (c *Call) badDescriptor(p tracee.Path) bool {
	fd, ok := p.Descriptor()
	if !ok {
		return false
	}
	path, e := c.Tracee.OpenedAsPath(fd)
	return e != 0 || path
}

// xattrListMax is XATTR_LIST_MAX of <linux/limits.h>.
const xattrListMax = 65536

// Listxattr answers listxattr(path, list, size).
func Listxattr(c *Call) Result { return c.listPath(unix.AT_FDCWD, 0, 0, 1) }

// Llistxattr answers llistxattr(path, list, size).
func Llistxattr(c *Call) Result { return c.listPath(unix.AT_FDCWD, 0, unix.AT_SYMLINK_NOFOLLOW, 1) }

// Listxattrat answers listxattrat(dirfd, path, flags, list, size).
func Listxattrat(c *Call) Result { return c.listPath(c.int32(0), 1, c.uint32(2), 3) }

// Flistxattr answers flistxattr(fd, list, size).
func Flistxattr(c *Call) Result {
	return c.list(c.Tracee.FD(c.int32(0)), 1)
}

func (c *Call) listPath(dirfd int32, path int, flags uint32, list int) Result {
	if flags&^(unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH) != 0 {
		return Continue
	}
	p, e := c.Tracee.Path(dirfd, c.addr(path), flags)
	if e != 0 {
		return Continue
	}
	return c.list(p, list)
}

// list answers with the names of the attributes of p but the hidden one, in the
// buffer at argument buf, whose size is the next argument.
func (c *Call) list(p tracee.Path, buf int) Result {
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
	// listxattr(2): "If size is specified as zero, these calls return the
	// current size of the list [...]. ERANGE: The size of the list buffer is
	// too small to hold the result."
	switch size := c.Data.Args[buf+1]; {
	case size == 0:
		return Return(len(names))
	case size < uint64(len(names)):
		return Errno(unix.ERANGE)
	}
	if e := c.Tracee.Write(c.addr(buf), names); e != 0 {
		return Errno(e)
	}
	return Return(len(names))
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
