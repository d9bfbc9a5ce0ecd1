package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
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
	if c.kernelDecides(1<<unix.CAP_FOWNER | 1<<unix.CAP_FSETID) {
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
	switch {
	case !i.hasFileAttr():
		return Continue // EOPNOTSUPP
	case !perm.Owner(c.identity().Credentials, c.visible(i)):
		return deny(i, unix.EPERM)
	}
	return c.changeFileAttr(i, func() unix.Errno {
		var p sys.FDPath
		return sys.FileSetattr(unix.AT_FDCWD, p.Of(i.fd), attr, 0)
	})
}

// changeFileAttr changes what file_setattr(2) and FS_IOC_FSSETXATTR change of an inode of the
// caller, by change, unless the kernel can execute the call itself.
//
// XFS thereby clears the set-id bits of an inode over which the caller lacks CAP_FSETID
// (xfs_fileattr_set of fs/xfs/xfs_ioctl.c); no other file system does. For the kernel, every task
// of the container has that capability.
func (c *Call) changeFileAttr(i *inode, change func() unix.Errno) Result {
	caller, visible := c.identity(), c.visible(i)
	if visible.Mode&(unix.S_ISUID|unix.S_ISGID) == 0 || caller.CapableOver(visible.UID, visible.GID, unix.CAP_FSETID) ||
		sys.FileSystem(i.fd) != unix.XFS_SUPER_MAGIC {
		return Continue
	}
	c.Owners.Lock(i.lockKey())
	defer c.Owners.Unlock(i.lockKey())
	if !c.Listener.Waits() {
		return Errno(unix.ESRCH) // the path may belong to another call by now
	}
	if e := c.refresh(i); e != 0 {
		return Errno(e)
	}
	if e := c.unrecordSetID(i); e != 0 {
		return Errno(e)
	}
	return Errno(withCaps(cred.AllCaps&^(1<<unix.CAP_FSETID), change))
}

// hasFileAttr reports whether the file system gives the inode the attributes of
// file_getattr(2).
func (i *inode) hasFileAttr() bool {
	var attr [fileAttrMin]byte
	var p sys.FDPath
	return sys.FileGetattr(unix.AT_FDCWD, p.Of(i.fd), attr[:], 0) == 0
}
