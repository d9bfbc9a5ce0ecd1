package handlers

import (
	"bytes"
	"encoding/binary"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/perm"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// The container does not see user.rootlesscontainers; it sees ACLs as in acl.go, and has
// its own trusted and security attributes (xattrstored.go). The kernel handles all other
// attributes, after package perm has decided whether the caller may change them.

// Getxattr handles getxattr(path, name, value, size).
func Getxattr(c *Call) Result { return c.getxattr(byPath, 1, c.addr(2), c.Data.Args[3]) }

// Lgetxattr handles lgetxattr(path, name, value, size).
func Lgetxattr(c *Call) Result { return c.getxattr(byLink, 1, c.addr(2), c.Data.Args[3]) }

// Fgetxattr handles fgetxattr(fd, name, value, size).
func Fgetxattr(c *Call) Result { return c.getxattr(c.descriptor(), 1, c.addr(2), c.Data.Args[3]) }

// Getxattrat handles getxattrat(dirfd, path, flags, name, args, size).
func Getxattrat(c *Call) Result {
	args, ok := c.xattrArgs()
	if !ok || args.flags != 0 {
		return Continue
	}
	return c.getxattr(c.objectAt(), 3, args.value, args.size)
}

// Setxattr handles setxattr(path, name, value, size, flags).
func Setxattr(c *Call) Result { return c.setxattr(byPath, 1, c.valueArgs()) }

// Lsetxattr handles lsetxattr(path, name, value, size, flags).
func Lsetxattr(c *Call) Result { return c.setxattr(byLink, 1, c.valueArgs()) }

// Fsetxattr handles fsetxattr(fd, name, value, size, flags).
func Fsetxattr(c *Call) Result { return c.setxattr(c.descriptor(), 1, c.valueArgs()) }

// Setxattrat handles setxattrat(dirfd, path, flags, name, args, size).
func Setxattrat(c *Call) Result {
	args, ok := c.xattrArgs()
	if !ok {
		return Continue
	}
	return c.setxattr(c.objectAt(), 3, args)
}

// Removexattr handles removexattr(path, name).
func Removexattr(c *Call) Result { return c.removexattr(byPath, 1) }

// Lremovexattr handles lremovexattr(path, name).
func Lremovexattr(c *Call) Result { return c.removexattr(byLink, 1) }

// Fremovexattr handles fremovexattr(fd, name).
func Fremovexattr(c *Call) Result { return c.removexattr(c.descriptor(), 1) }

// Removexattrat handles removexattrat(dirfd, path, flags, name).
func Removexattrat(c *Call) Result { return c.removexattr(c.objectAt(), 3) }

// xattrArgs is struct xattr_args of <linux/xattr.h>.
type xattrArgs struct {
	value uintptr
	size  uint64
	flags uint32
}

// valueArgs returns the arguments value, size and flags of the calls without struct
// xattr_args.
func (c *Call) valueArgs() xattrArgs { return xattrArgs{c.addr(2), c.Data.Args[3], c.uint32(4)} }

// xattrArgs reads the struct at argument 4, whose size is argument 5. Ok is false if the
// kernel would not accept it.
func (c *Call) xattrArgs() (_ xattrArgs, ok bool) {
	var b [16]byte
	if c.Data.Args[5] < uint64(len(b)) {
		return xattrArgs{}, false
	}
	n, e := c.Target.Read(c.addr(4), b[:])
	return xattrArgs{
		value: uintptr(binary.LittleEndian.Uint64(b[:])),
		size:  uint64(binary.LittleEndian.Uint32(b[8:])),
		flags: binary.LittleEndian.Uint32(b[12:]),
	}, e == 0 && n == len(b)
}

// getxattr handles a call that reads the attribute of o whose name is at argument name.
func (c *Call) getxattr(o object, name int, value uintptr, size uint64) Result {
	if o.isCwd() {
		return Continue
	}
	var a xattrName
	switch c.readXattrName(name, &a) {
	case xattrBadName:
		return Continue // ERANGE or EFAULT
	case xattrHidden:
		return c.onHidden(o, getHidden)
	case xattrProbe:
		return Return(1)
	case xattrAccessACL:
		return c.getACL(o, accessACL, value, size)
	case xattrDefaultACL:
		return c.getACL(o, defaultACL, value, size)
	case xattrTrusted:
		return c.getTrusted(o, &a, value, size)
	case xattrSecurity:
		return c.getSecurity(o, &a, value, size)
	case xattrCapability:
		return c.getCapability(o, &a, value, size)
	case xattrOrdinary, xattrUser:
		return c.readAttribute(o, &a)
	}
	return c.reach(o, 0)
}

// readAttribute lets the kernel read the attribute a of o, if the caller may.
func (c *Call) readAttribute(o object, a *xattrName) Result {
	if !c.Restricted() {
		return Continue
	}
	i, e := c.openObject(o)
	if e != 0 {
		return continueUnlessDenied(e)
	}
	defer c.close(i)
	kind := i.kind()
	switch {
	case bytes.HasPrefix(a[:], []byte(securityPrefix)), bytes.HasPrefix(a[:], []byte("system.")),
		bytes.HasPrefix(a[:], []byte(trustedPrefix)),
		bytes.HasPrefix(a[:], []byte("user.")) && kind != unix.S_IFREG && kind != unix.S_IFDIR &&
			!c.isSocketWithAttributes(i): // ENODATA
		return Continue
	}
	// xattr(7), of user.*: "Their access permissions are defined by the file permission bits".
	return continueUnlessDenied(c.permits(i, perm.Read))
}

// setxattr handles a call that sets the attribute of o whose name is at argument name.
func (c *Call) setxattr(o object, name int, args xattrArgs) Result {
	if o.isCwd() || args.flags&^(unix.XATTR_CREATE|unix.XATTR_REPLACE) != 0 || args.size > xattrSizeMax {
		return Continue // EBADF, EINVAL, E2BIG
	}
	var a xattrName
	kind := c.readXattrName(name, &a)
	isSpecial := kind == xattrCapability && c.isSpecialRecord(o)
	switch kind {
	case xattrBadName:
		return Continue
	case xattrHidden:
		return c.onHidden(o, setHidden)
	case xattrCapability:
		if !isSpecial && args.size != fileCapsMax && c.kernelDecides(xattrCaps) {
			return Continue
		}
	case xattrSecurity:
		if c.inRuntime() {
			return Continue
		}
	}
	if c.kernelChanges(o, kind) {
		return Continue
	}
	value := c.buffer()[:args.size]
	if n, e := c.Target.Read(args.value, value); e != 0 || n < len(value) {
		return Continue // EFAULT
	}
	switch kind {
	case xattrAccessACL:
		return c.setACL(o, accessACL, value)
	case xattrDefaultACL:
		return c.setACL(o, defaultACL, value)
	}
	stored := a
	if (kind == xattrTrusted || isSpecial) && !stored.toStored() {
		return Errno(unix.EOPNOTSUPP)
	}
	return c.changeAttribute(o, &a, func(i *inode) unix.Errno {
		switch {
		case kind == xattrTrusted:
			return c.setStored(i, &stored, value, args.flags)
		case kind == xattrSecurity:
			return c.setSecurity(i, &a, value, args.flags)
		case kind == xattrCapability:
			value, e := c.givenFileCaps(value)
			if e != 0 {
				return e
			}
			if isSpecial {
				return c.setStored(i, &stored, value, args.flags)
			}
			if c.namesUnmappedRoot(value) {
				return setUnmappedRootCaps(i, &a, value, args.flags)
			}
			return setxattrOPath(i.fd, &a[0], value, args.flags)
		}
		return setxattrOPath(i.fd, &a[0], value, args.flags)
	}, value)
}

// removexattr handles a call that removes the attribute of o whose name is at argument
// name.
func (c *Call) removexattr(o object, name int) Result {
	if o.isCwd() {
		return Continue
	}
	var a xattrName
	kind := c.readXattrName(name, &a)
	isSpecial := kind == xattrCapability && c.isSpecialRecord(o)
	switch kind {
	case xattrBadName:
		return Continue
	case xattrHidden:
		return c.onHidden(o, removeHidden)
	case xattrAccessACL:
		return c.setACL(o, accessACL, nil)
	case xattrDefaultACL:
		return c.setACL(o, defaultACL, nil)
	case xattrCapability:
		if !isSpecial && c.kernelDecides(xattrCaps) {
			return Continue
		}
	}
	if c.kernelChanges(o, kind) {
		return Continue
	}
	stored := a
	if (kind == xattrTrusted || isSpecial) && !stored.toStored() {
		return c.onHidden(o, removeHidden)
	}
	return c.changeAttribute(o, &a, func(i *inode) unix.Errno {
		switch {
		case kind == xattrTrusted, isSpecial:
			return c.removeStored(i, &stored)
		case kind == xattrSecurity:
			return c.removeSecurity(i, &a)
		}
		return removexattrOPath(i.fd, &a[0])
	}, nil)
}

// openForAttributes opens the object o, for its attributes, with O_PATH.
func (c *Call) openForAttributes(o object) (*inode, unix.Errno) {
	p, e := c.pathOf(o)
	if e != 0 {
		return nil, e
	}
	if c.badDescriptor(p) {
		return nil, unix.EBADF
	}
	return c.openPath(p)
}

// xattrCaps are the capabilities with which package perm allows every change of an
// attribute.
const xattrCaps = 1<<unix.CAP_FOWNER | 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_SETFCAP | 1<<unix.CAP_SYS_ADMIN

// kernelChanges reports whether the kernel may set or remove an attribute of that kind, which
// is stored under its own name, of the object o.
func (c *Call) kernelChanges(o object, kind xattrKind) bool {
	switch kind {
	case xattrUser:
		return c.kernelDecides(xattrCaps) && !c.isPlaceholder(o)
	case xattrOrdinary, xattrProbe:
		return c.kernelDecides(xattrCaps)
	}
	return false
}

// changeAttribute makes a change of the attribute a of o if the caller may. Value is the
// new value, or nil if the attribute is removed.
func (c *Call) changeAttribute(o object, a *xattrName, change func(i *inode) unix.Errno, value []byte) Result {
	i, e := c.openForAttributes(o)
	if e != 0 {
		return Errno(e)
	}
	defer c.close(i)
	if e := c.mayChangeAttribute(i, a, value); e != 0 {
		return deny(i, e)
	}
	if !c.Listener.Waits() {
		return Errno(unix.ESRCH)
	}
	return Result{Errno: change(i), Final: true} // XATTR_CREATE, ENODATA
}

// isSocketWithAttributes reports whether the inode is a socket, not a placeholder, of which the kernel
// stores user.* attributes.
func (c *Call) isSocketWithAttributes(i *inode) bool {
	return i.kind() == unix.S_IFSOCK && c.visible(i).Mode&unix.S_IFMT == unix.S_IFSOCK && socketsHaveAttributes()
}

// socketsHaveAttributes reports whether the kernel stores user.* attributes of sockets: Linux 7.1 and
// later do.
var socketsHaveAttributes = sync.OnceValue(func() bool {
	fd, e := sys.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if e != 0 {
		return false
	}
	defer unix.Close(fd)
	name := [...]byte{'u', 's', 'e', 'r', '.', 'a', 0}
	return sys.Fsetxattr(fd, &name[0], []byte{0}, 0) == 0
})

func (c *Call) mayChangeAttribute(i *inode, a *xattrName, value []byte) unix.Errno {
	v := c.visible(i)
	if string(a[:len(capabilityXattr)]) == capabilityXattr && value != nil {
		if e := cred.CheckFileCaps(value); e != 0 {
			return e
		}
	}
	name := a[:bytes.IndexByte(a[:], 0)]
	if e := perm.SetXattr(c.identity().Credentials, v, unsafe.String(&name[0], len(name)), c.isSocketWithAttributes(i)); e != 0 {
		return e
	}
	if bytes.HasPrefix(name, []byte(securityPrefix)) || bytes.HasPrefix(name, []byte("system.")) ||
		bytes.HasPrefix(name, []byte(trustedPrefix)) {
		return 0
	}
	// xattr(7), of user.*: "Their access permissions are defined by the file permission bits".
	return c.permitsAs(i, v, perm.Write)
}
