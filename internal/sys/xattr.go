package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Getxattr reads the attribute name of path into value, and returns its size.
// Follow says whether a symbolic link at the end of path is followed. With an
// empty value it only returns the size.
func Getxattr(path *byte, follow bool, name *byte, value []byte) (int, unix.Errno) {
	nr := uintptr(unix.SYS_LGETXATTR)
	if follow {
		nr = unix.SYS_GETXATTR
	}
	n, _, e := syscall.RawSyscall6(nr, uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(name)),
		uintptr(unsafe.Pointer(unsafe.SliceData(value))), uintptr(len(value)), 0, 0)
	return result(n, e)
}

// Setxattr sets the attribute name of path. The flags are XATTR_CREATE and
// XATTR_REPLACE.
func Setxattr(path *byte, name *byte, value []byte, flags uint32) unix.Errno {
	_, _, e := syscall.RawSyscall6(unix.SYS_SETXATTR, uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(name)),
		uintptr(unsafe.Pointer(unsafe.SliceData(value))), uintptr(len(value)), uintptr(flags), 0)
	return e
}

// Removexattr removes the attribute name of path. Follow is as in Getxattr.
func Removexattr(path *byte, follow bool, name *byte) unix.Errno {
	nr := uintptr(unix.SYS_LREMOVEXATTR)
	if follow {
		nr = unix.SYS_REMOVEXATTR
	}
	_, _, e := syscall.RawSyscall(nr, uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(name)), 0)
	return e
}

// Listxattr lists the names of the attributes of path into list, and returns their
// size. Follow and an empty list are as in Getxattr.
func Listxattr(path *byte, follow bool, list []byte) (int, unix.Errno) {
	nr := uintptr(unix.SYS_LLISTXATTR)
	if follow {
		nr = unix.SYS_LISTXATTR
	}
	n, _, e := syscall.RawSyscall(nr, uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(unsafe.SliceData(list))), uintptr(len(list)))
	return result(n, e)
}

// Fgetxattr reads the attribute name of the descriptor fd: EBADF for O_PATH
// descriptors.
func Fgetxattr(fd int, name *byte, value []byte) (int, unix.Errno) {
	n, _, e := syscall.RawSyscall6(unix.SYS_FGETXATTR, uintptr(fd), uintptr(unsafe.Pointer(name)),
		uintptr(unsafe.Pointer(unsafe.SliceData(value))), uintptr(len(value)), 0, 0)
	return result(n, e)
}

// Fsetxattr sets the attribute name of the descriptor fd: EBADF for O_PATH
// descriptors.
func Fsetxattr(fd int, name *byte, value []byte, flags uint32) unix.Errno {
	_, _, e := syscall.RawSyscall6(unix.SYS_FSETXATTR, uintptr(fd), uintptr(unsafe.Pointer(name)),
		uintptr(unsafe.Pointer(unsafe.SliceData(value))), uintptr(len(value)), uintptr(flags), 0)
	return e
}

// Fremovexattr removes the attribute name of the descriptor fd: EBADF for O_PATH
// descriptors.
func Fremovexattr(fd int, name *byte) unix.Errno {
	_, _, e := syscall.RawSyscall(unix.SYS_FREMOVEXATTR, uintptr(fd), uintptr(unsafe.Pointer(name)), 0)
	return e
}

// LacksXattr reports whether e is the error of an attribute that is not there.
func LacksXattr(e unix.Errno) bool { return e == unix.ENODATA || e == unix.EOPNOTSUPP }
