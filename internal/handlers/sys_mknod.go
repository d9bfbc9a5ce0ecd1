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

// mknod makes what the kernel lets nobody make in a user namespace, a device, as
// a placeholder. The kernel makes the others.
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
		// does not have the CAP_MKNOD capability)". The kernel says so itself, unless it
		// has more to say of the path.
		if !c.identity().Capable(unix.CAP_MKNOD) {
			return c.refuseDevice(dirfd, arg, mode)
		}
		rec.Type, rec.Rdev = kind, uint64(dev)
		kind, dev = placeholderType(&rec), 0
	default: // EPERM or EINVAL, before anything is looked at
		return Continue
	}
	return c.create(dirfd, arg, mode, func(parent int, name *byte, mode uint32) unix.Errno {
		return sys.Mknodat(parent, name, mode&^unix.S_IFMT|kind, dev)
	}, rec)
}

// mayNot lets the kernel refuse to make an inode of that mode, unless the caller may not
// even make a name there.
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

// whiteout is the number of the character device that overlayfs marks removed
// files with. Everybody may make it.
const whiteout = 0

// standIn returns the file type of the placeholder for a device.
//
// The supervisor is not asked when a file is opened for reading only, so the
// placeholder itself has to do the right thing then. An empty file is read as
// /dev/null is. A socket cannot be opened: ENXIO, as for a device that is not there.
func placeholderType(rec *owner.Record) uint32 {
	if rec.Type == unix.S_IFCHR && rec.Rdev == devNull {
		return unix.S_IFREG
	}
	return unix.S_IFSOCK
}
