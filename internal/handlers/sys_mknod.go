package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// Mknod handles mknod(path, mode, dev).
func Mknod(c *Call) Result { return c.mknod(unix.AT_FDCWD, 0) }

// Mknodat handles mknodat(dirfd, path, mode, dev).
func Mknodat(c *Call) Result { return c.mknod(c.int32(0), 1) }

// mknod creates a placeholder for a device, which the kernel does not create in a user
// namespace. The kernel creates inodes of other types.
func (c *Call) mknod(dirfd int32, arg int) Result {
	mode, dev := c.uint32(arg+1)&0xffff, c.uint32(arg+2) // umode_t has 16 bits
	kind := mode & unix.S_IFMT
	if kind == 0 { // mknod(2): "Zero file type is equivalent to type S_IFREG."
		kind, mode = unix.S_IFREG, mode|unix.S_IFREG
	}
	var rec owner.Record
	switch {
	case kind == unix.S_IFCHR && dev == whiteout, kind == unix.S_IFREG, kind == unix.S_IFIFO, kind == unix.S_IFSOCK:
	case kind == unix.S_IFCHR, kind == unix.S_IFBLK:
		// "EPERM: mode requested creation of something other than a regular file, FIFO
		// (named pipe), or UNIX domain socket, and the caller is not privileged (Linux:
		// does not have the CAP_MKNOD capability)". The kernel gives the same error, unless
		// the path gives another one.
		if !c.identity().CapableInContainer(unix.CAP_MKNOD) {
			return c.refuseDevice(dirfd, arg, mode)
		}
		rec.Type, rec.Rdev = kind, uint64(dev)
		kind, dev = rec.PlaceholderType(), 0
	default: // EPERM or EINVAL, before the path is resolved
		return Continue
	}
	return c.create(dirfd, arg, mode, func(parent int, name *byte, mode uint32) unix.Errno {
		return sys.Mknodat(parent, name, mode&^unix.S_IFMT|kind, dev)
	}, rec)
}

// refuseDevice lets the kernel refuse to create a device of that mode, unless the caller
// may not create the name in the first place.
func (c *Call) refuseDevice(dirfd int32, arg int, mode uint32) Result {
	if !c.Restricted() {
		return Continue
	}
	parent, name, slash, e := c.openParent(dirfd, arg)
	if e != 0 {
		return continueUnlessDenied(e)
	}
	defer c.close(parent)
	return continueUnlessDenied(c.mayMake(parent, name, slash, mode))
}

// whiteout is the number of the character device with which overlayfs marks removed files.
// Every user may create it.
const whiteout = 0
