package handlers

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/perm"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// Commands of ioctl(2), from <linux/fs.h>.
const (
	setFlags32    = 0x40046602 // FS_IOC32_SETFLAGS
	setAttributes = 0x401c5820 // FS_IOC_FSSETXATTR
	getVersion    = 0x80087601 // FS_IOC_GETVERSION
	setVersion    = 0x40087602 // FS_IOC_SETVERSION
	setVersion32  = 0x40047602 // FS_IOC32_SETVERSION
)

// Ioctl answers ioctl(fd, cmd, argp).
func Ioctl(c *Call) Result {
	switch cmd := c.uint32(1); {
	case !c.Identities.InUse():
	case cmd == unix.FS_IOC_SETFLAGS, cmd == setFlags32, cmd == setAttributes:
		return c.setAttributes(unix.FS_IOC_GETFLAGS)
	case cmd == setVersion, cmd == setVersion32:
		return c.setAttributes(getVersion)
	case configures(cmd):
		return c.configure()
	}
	return Continue
}

// setAttributes answers a command that changes attributes of an inode. Of files without
// such attributes, get fails too.
//
// FS_IOC_SETFLAGS(2const): "In order to change the inode flags of a file using the
// FS_IOC_SETFLAGS operation, the effective user ID of the caller must match the owner of
// the file, or the caller must have the CAP_FOWNER capability."
func (c *Call) setAttributes(get uint32) Result {
	i, e := c.openFD(c.int32(0))
	if e != 0 {
		return Continue // EBADF
	}
	defer c.close(i)
	if perm.Owner(c.identity().Credentials, c.visible(i)) {
		return Continue
	}
	if get != getVersion && c.badPointer(2) {
		return Continue // EFAULT
	}
	if dup, e := c.Target.Dup(c.int32(0)); e == 0 {
		var value uint64
		e := sys.Ioctl(dup, get, unsafe.Pointer(&value))
		unix.Close(dup)
		if e != 0 {
			return Continue // ENOTTY
		}
	}
	return deny(i, unix.EPERM)
}

// Fcntl answers fcntl(fd, F_SETLEASE, arg).
func Fcntl(c *Call) Result {
	if !c.Identities.InUse() || c.Data.Args[2] > unix.F_UNLCK { // EINVAL
		return Continue
	}
	i, e := c.openFD(c.int32(0))
	if e != 0 {
		return Continue // EBADF
	}
	defer c.close(i)
	// A pipe or a socket is its maker's, who is not known, and has no leases: EINVAL.
	if !i.isAnonymous() && !perm.Lease(c.identity().Credentials, c.visible(i)) {
		return Errno(unix.EACCES)
	}
	return Continue
}

// maxHandle is MAX_HANDLE_SZ of <linux/exportfs.h>, in bytes.
const maxHandle = 128

// OpenByHandleAt answers open_by_handle_at(mount_fd, handle, flags).
//
// open_by_handle_at(2): "The caller must have the CAP_DAC_READ_SEARCH capability". Linux
// 6.11 lets who has CAP_SYS_ADMIN do it in some mounts.
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

// isOpen tells whether the caller has a descriptor fd.
func (c *Call) isOpen(fd int32) bool {
	_, e := c.Target.OpenedAsPath(fd)
	return e == 0
}
