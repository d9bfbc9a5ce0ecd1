package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/perm"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// Sizes of struct file_attr of <linux/fs.h> that the kernel takes: the first version, and a
// page.
const (
	fileAttrMin = 24
	fileAttrMax = 4096
)

// fileAttrFlags are the flags of file_getattr(2) and file_setattr(2).
const fileAttrFlags = unix.AT_SYMLINK_NOFOLLOW | unix.AT_EMPTY_PATH

// FileGetattr handles file_getattr(dirfd, path, attr, size, flags), of Linux 6.17.
func FileGetattr(c *Call) Result {
	size, flags := c.Data.Args[3], c.uint32(4)
	if flags&^fileAttrFlags != 0 || size < fileAttrMin || size > fileAttrMax || c.addr(1) == 0 {
		return Continue // EINVAL, E2BIG, EFAULT; or, with AT_EMPTY_PATH, dirfd itself
	}
	return c.reach(object{dirfd: c.int32(0), path: 1, flags: flags}, 0)
}

// FileSetattr handles file_setattr(dirfd, path, attr, size, flags), of Linux 6.17.
//
// The kernel checks the owner as for FS_IOC_SETFLAGS: see changeInodeFlags.
func FileSetattr(c *Call) Result {
	if c.kernelDecides(1 << unix.CAP_FOWNER) {
		return Continue
	}
	size, flags := c.Data.Args[3], c.uint32(4)
	if size < fileAttrMin || size > fileAttrMax {
		return Continue // EINVAL or E2BIG
	}
	attr := c.buffer()[:size]
	if n, e := c.Target.Read(c.addr(2), attr); e != 0 || n < len(attr) {
		return Continue // EFAULT
	}
	// The kernel checks the arguments before it looks for the file, which is none here.
	if sys.FileSetattr(unix.AT_FDCWD, sys.Empty, attr, int(flags&^unix.AT_EMPTY_PATH)) != unix.ENOENT {
		return Continue // EINVAL, E2BIG, or no such call
	}
	o := object{dirfd: c.int32(0), path: 1, flags: flags}
	if _, e := c.pathOf(o); e != 0 {
		return Continue // EFAULT, or ENOENT
	}
	if flags&unix.AT_EMPTY_PATH != 0 && o.dirfd != unix.AT_FDCWD && c.emptyString(1) {
		o = object{dirfd: o.dirfd, path: byFD} // EBADF if it was opened with O_PATH
	}
	i, e := c.openForAttributes(o) // which takes NULL for an empty path
	if e != 0 {
		return continueUnlessDenied(e)
	}
	defer c.close(i)
	if perm.Owner(c.identity().Credentials, c.visible(i)) || !i.hasFileAttr() {
		return Continue // EOPNOTSUPP
	}
	return deny(i, unix.EPERM)
}

// hasFileAttr reports whether the file system gives the inode the attributes of
// file_getattr(2).
func (i *inode) hasFileAttr() bool {
	var attr [fileAttrMin]byte
	var p sys.FDPath
	return sys.FileGetattr(unix.AT_FDCWD, p.Of(i.fd), attr[:], 0) == 0
}
