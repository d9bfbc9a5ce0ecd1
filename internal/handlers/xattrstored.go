package handlers

import (
	"bytes"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// The kernel reserves trusted.* and security.* attributes for root of the host. The container
// has its own: trusted.x is stored as user.rootlesscontainers.trusted.x, of special files in
// their attribute files (see package owner). security.x is stored likewise if the kernel
// refuses it, and hides an attribute of that name that the host's root has set.
//
// xattr(7): "Trusted extended attributes are visible and accessible only to processes that
// have the CAP_SYS_ADMIN capability." Of security.*: "When no security module is loaded, all
// processes have read access to extended security attributes, and write access is limited to
// processes that have the CAP_SYS_ADMIN capability."
const (
	trustedPrefix  = "trusted."
	securityPrefix = "security."
	storedPrefix   = owner.Xattr + "."
)

// toStored converts the name of an attribute to the name under which it is stored. It
// returns false if that is too long.
func (a *xattrName) toStored() bool {
	n := bytes.IndexByte(a[:], 0)
	if string(a[:n]) == trustedPrefix || string(a[:n]) == securityPrefix {
		copy(a[:], "user.\x00") // which the kernel refuses as it refuses "trusted."
		return true
	}
	if len(storedPrefix)+n >= len(a) {
		return false
	}
	copy(a[len(storedPrefix):], a[:n+1])
	copy(a[:], storedPrefix)
	return true
}

// getTrusted handles a call that reads the trusted attribute a of o into size bytes at
// addr.
func (c *Call) getTrusted(o object, a *xattrName, addr uintptr, size uint64) Result {
	if !c.identity().CapableInContainer(unix.CAP_SYS_ADMIN) {
		return c.reach(o, 0) // ENODATA, on file systems without attributes, too
	}
	if !a.toStored() {
		return c.onHidden(o, getHidden)
	}
	return c.getStored(o, a, addr, size)
}

// getSecurity handles a call that reads the security attribute a of o, except capabilities,
// into size bytes at addr.
func (c *Call) getSecurity(o object, a *xattrName, addr uintptr, size uint64) Result {
	stored := *a
	if c.Owners.SecurityInUse() && stored.toStored() {
		switch r := c.getStored(o, &stored, addr, size); r.Errno {
		case 0, unix.ERANGE, unix.EFAULT:
			return r
		}
	}
	return c.readAttribute(o, a)
}

// getStored reads the attribute of o that is stored as a into size bytes at addr.
func (c *Call) getStored(o object, a *xattrName, addr uintptr, size uint64) Result {
	i, e := c.openForAttributes(o)
	if e != 0 {
		return Errno(e)
	}
	defer c.close(i)
	var p owner.AttributePath
	path, e := c.Owners.Attributes(i.fd, i.stat.Mode, false, &p)
	if e != 0 {
		return Errno(e)
	}
	n, e := sys.Getxattr(path, true, &a[0], c.buffer())
	if e != 0 {
		return Errno(orNoData(e))
	}
	return c.returnValue(c.buffer()[:n], addr, size)
}

// orNoData converts the error of a call on an attribute file that does not exist.
func orNoData(e unix.Errno) unix.Errno {
	if e == unix.ENOENT {
		return unix.ENODATA
	}
	return e
}

// setStored sets the attribute of the inode that is stored as a. Flags are those of
// setxattr(2).
func (c *Call) setStored(i *inode, a *xattrName, value []byte, flags uint32) unix.Errno {
	if !i.hasUserXattrs() {
		c.Owners.Lock(i.lockKey())
		defer c.Owners.Unlock(i.lockKey())
	}
	var p owner.AttributePath
	path, e := c.Owners.Attributes(i.fd, i.stat.Mode, true, &p)
	if e != 0 {
		return e
	}
	return sys.Setxattr(path, &a[0], value, flags)
}

// removeStored removes the attribute of the inode that is stored as a.
func (c *Call) removeStored(i *inode, a *xattrName) unix.Errno {
	if e := i.preferEROFS(unix.EPERM); e == unix.EROFS {
		return e
	}
	var p owner.AttributePath
	path, e := c.Owners.Attributes(i.fd, i.stat.Mode, false, &p)
	if e != 0 {
		return e
	}
	return orNoData(sys.Removexattr(path, true, &a[0]))
}

// setSecurity sets the security attribute a of the inode, except capabilities, for a caller
// that may.
func (c *Call) setSecurity(i *inode, a *xattrName, value []byte, flags uint32) unix.Errno {
	stored := *a
	fits := stored.toStored()
	// The kernel allows it on file systems that the container has mounted, and a security
	// module may.
	if e := setxattrOPath(i.fd, &a[0], value, flags); e != unix.EPERM {
		if e == 0 && fits && c.Owners.SecurityInUse() {
			c.removeStored(i, &stored)
		}
		return e
	}
	if !fits {
		return unix.EOPNOTSUPP
	}
	if flags != 0 {
		if _, e := getxattrOPath(i.fd, &a[0], nil); e == unix.EOPNOTSUPP {
			return e
		}
		exists := c.hasSecurity(i, a, &stored)
		switch {
		case exists && flags&unix.XATTR_CREATE != 0:
			return unix.EEXIST
		case !exists && flags&unix.XATTR_REPLACE != 0:
			return unix.ENODATA
		}
	}
	c.Owners.NoteSecurity()
	return c.setStored(i, &stored, value, 0)
}

// removeSecurity removes the security attribute a of the inode, except capabilities, for a
// caller that may.
func (c *Call) removeSecurity(i *inode, a *xattrName) unix.Errno {
	stored := *a
	if stored.toStored() {
		if e := c.removeStored(i, &stored); e != unix.ENODATA {
			return e
		}
	}
	if _, e := getxattrOPath(i.fd, &a[0], nil); e != 0 {
		return e
	}
	return removexattrOPath(i.fd, &a[0])
}

// hasSecurity reports whether the inode has the security attribute a, which is stored as
// stored if the container has set it.
func (c *Call) hasSecurity(i *inode, a, stored *xattrName) bool {
	if _, e := getxattrOPath(i.fd, &a[0], nil); e == 0 {
		return true
	}
	var p owner.AttributePath
	path, e := c.Owners.Attributes(i.fd, i.stat.Mode, false, &p)
	if e != 0 {
		return false
	}
	_, e = sys.Getxattr(path, true, &stored[0], nil)
	return e == 0
}
