package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Statmount is statmount(2). Request is a struct mnt_id_req, which begins with its size.
func Statmount(request, buffer []byte, flags uint32) unix.Errno {
	_, _, e := syscall.RawSyscall6(unix.SYS_STATMOUNT, uintptr(unsafe.Pointer(unsafe.SliceData(request))),
		uintptr(unsafe.Pointer(unsafe.SliceData(buffer))), uintptr(len(buffer)), uintptr(flags), 0, 0)
	return e
}

// Listmount is listmount(2). Request is as in Statmount.
func Listmount(request []byte, ids []uint64, flags uint32) unix.Errno {
	_, _, e := syscall.RawSyscall6(unix.SYS_LISTMOUNT, uintptr(unsafe.Pointer(unsafe.SliceData(request))),
		uintptr(unsafe.Pointer(unsafe.SliceData(ids))), uintptr(len(ids)), uintptr(flags), 0, 0)
	return e
}

// OpenTree is open_tree(2).
func OpenTree(dirfd int, path *byte, flags uint32) (int, unix.Errno) {
	fd, _, e := syscall.Syscall(unix.SYS_OPEN_TREE, uintptr(dirfd), uintptr(unsafe.Pointer(path)), uintptr(flags))
	return result(fd, e)
}

// MoveMount is move_mount(2): it attaches the detached mount of the descriptor mount at the inode
// of the descriptor place.
func MoveMount(mount, place int) unix.Errno {
	_, _, e := syscall.RawSyscall6(unix.SYS_MOVE_MOUNT, uintptr(mount), uintptr(unsafe.Pointer(Empty)), uintptr(place),
		uintptr(unsafe.Pointer(Empty)), unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH, 0)
	return e
}

// Unshare is unshare(2).
func Unshare(flags uint32) unix.Errno {
	_, _, e := syscall.RawSyscall(unix.SYS_UNSHARE, uintptr(flags), 0, 0)
	return e
}

// FailfsRoot is FD_FAILFS_ROOT of <linux/fcntl.h>, in the place of a descriptor: the root
// of a file system in which every operation fails with EOPNOTSUPP.
const FailfsRoot = -10004

// sysFchroot is the number of fchroot on every architecture, which golang.org/x/sys/unix
// does not have yet.
const sysFchroot = 472

// Fchroot is fchroot(2), of Linux 7.3.
func Fchroot(fd int, flags uint32) unix.Errno {
	_, _, e := syscall.RawSyscall(sysFchroot, uintptr(fd), uintptr(flags), 0)
	return e
}
