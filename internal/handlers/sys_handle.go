package handlers

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// handleFlags are the flags of name_to_handle_at(2).
const handleFlags = unix.AT_SYMLINK_FOLLOW | unix.AT_EMPTY_PATH |
	atHandleFID | atHandleConnectable | atHandleMntIDUnique

// From <linux/fcntl.h>, since Linux 6.5, 6.13 and 6.12.
const (
	atHandleFID         = 0x200
	atHandleConnectable = 0x2
	atHandleMntIDUnique = 0x1
)

// NameToHandleAt handles name_to_handle_at(dirfd, path, handle, mount_id, flags).
func NameToHandleAt(c *Call) Result {
	given := c.uint32(4)
	if given&^handleFlags != 0 {
		return c.refuseUnknown(unix.EINVAL)
	}
	flags := given & unix.AT_EMPTY_PATH
	if given&unix.AT_SYMLINK_FOLLOW == 0 {
		flags |= unix.AT_SYMLINK_NOFOLLOW
	}
	return c.reach(object{dirfd: c.int32(0), path: 1, flags: flags}, 0)
}

// maxHandle is MAX_HANDLE_SZ of <linux/exportfs.h>, in bytes.
const maxHandle = 128

// OpenByHandleAt handles open_by_handle_at(mount_fd, handle, flags).
//
// open_by_handle_at(2): "The caller must have the CAP_DAC_READ_SEARCH capability". Since
// Linux 6.11, CAP_SYS_ADMIN suffices for some mounts.
func OpenByHandleAt(c *Call) Result {
	if !c.lacksCap(unix.CAP_DAC_READ_SEARCH) || !c.lacksCap(unix.CAP_SYS_ADMIN) {
		return Continue
	}
	var header [8]byte // struct file_handle: its size, and type
	if n, e := c.Target.Read(c.addr(1), header[:]); e != 0 || n < len(header) {
		return Continue // EFAULT
	}
	if size := binary.NativeEndian.Uint32(header[:]); size == 0 || size > maxHandle {
		return Continue // EINVAL
	}
	if dirfd := c.int32(0); dirfd != unix.AT_FDCWD && !c.isOpen(dirfd) {
		return Continue // EBADF
	}
	return Errno(unix.EPERM)
}
