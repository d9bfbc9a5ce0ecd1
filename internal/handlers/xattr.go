package handlers

import (
	"bytes"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// Extended attributes of the objects of our own descriptors, including O_PATH ones. Names
// are NUL-terminated.

func getxattrOPath(fd int, name *byte, value []byte) (int, unix.Errno) {
	var p sys.FDPath
	return sys.Getxattr(p.Of(fd), true, name, value)
}

func setxattrOPath(fd int, name *byte, value []byte, flags uint32) unix.Errno {
	var p sys.FDPath
	return sys.Setxattr(p.Of(fd), name, value, flags)
}

func removexattrOPath(fd int, name *byte) unix.Errno {
	var p sys.FDPath
	return sys.Removexattr(p.Of(fd), true, name)
}

// Probe is the name of an extended attribute that the file "/" of a supervised container
// has, with the value "1". A nested subuidless reads it to learn that it is supervised
// already.
const Probe = owner.Xattr + ".supervised"

// xattrName is the NUL-terminated name of an extended attribute, of at most XATTR_NAME_MAX
// bytes.
type xattrName [256]byte

// xattrKind is how the container sees an extended attribute.
type xattrKind int

const (
	xattrOrdinary xattrKind = iota
	xattrBadName
	xattrHidden
	xattrProbe
	xattrAccessACL
	xattrDefaultACL
	xattrTrusted
	xattrSecurity
	xattrCapability
	xattrUser
)

// readXattrName reads the name at argument i.
func (c *Call) readXattrName(i int, name *xattrName) xattrKind {
	n, e := c.Target.ReadString(c.addr(i), name[:])
	switch {
	case e != 0 || n == 0:
		return xattrBadName
	case string(name[:n]) == owner.Xattr:
		return xattrHidden
	case string(name[:n]) == Probe:
		return xattrProbe
	case string(name[:n+1]) == string(accessACL):
		return xattrAccessACL
	case string(name[:n+1]) == string(defaultACL):
		return xattrDefaultACL
	case string(name[:n+1]) == capabilityXattr:
		return xattrCapability
	case bytes.HasPrefix(name[:n], []byte(trustedPrefix)):
		return xattrTrusted
	case bytes.HasPrefix(name[:n], []byte(securityPrefix)):
		return xattrSecurity
	case bytes.HasPrefix(name[:n], []byte(storedPrefix)):
		return xattrHidden
	case bytes.HasPrefix(name[:n], []byte("user.")):
		return xattrUser
	}
	return xattrOrdinary
}

// From <linux/limits.h>.
const (
	xattrSizeMax = 65536
	xattrListMax = 65536
)

// buffer returns scratch space for one extended attribute, or one list of names or
// directory entries. It is valid until the next use. Most receivers never need it.
func (c *Call) buffer() []byte {
	if c.scratch == nil {
		c.scratch = make([]byte, max(xattrSizeMax, xattrListMax))
	}
	return c.scratch
}
