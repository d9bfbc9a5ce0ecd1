package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Getxattr reads the extended attribute name of path into value, and returns its size in
// bytes: getxattr(2), or lgetxattr(2) if follow is false. If value is empty, it only returns
// the size.
func Getxattr(path *byte, follow bool, name *byte, value []byte) (int, unix.Errno) {
	nr := uintptr(unix.SYS_LGETXATTR)
	if follow {
		nr = unix.SYS_GETXATTR
	}
	n, _, e := syscall.Syscall6(nr, uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(name)),
		uintptr(unsafe.Pointer(unsafe.SliceData(value))), uintptr(len(value)), 0, 0)
	return result(n, e)
}

// Setxattr sets the extended attribute name of path: setxattr(2). It follows a symbolic link
// at the end of path. The flags are XATTR_CREATE and XATTR_REPLACE.
func Setxattr(path *byte, name *byte, value []byte, flags uint32) unix.Errno {
	_, _, e := syscall.Syscall6(unix.SYS_SETXATTR, uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(name)),
		uintptr(unsafe.Pointer(unsafe.SliceData(value))), uintptr(len(value)), uintptr(flags), 0)
	return e
}

// Removexattr removes the extended attribute name of path: removexattr(2), or lremovexattr(2)
// if follow is false.
func Removexattr(path *byte, follow bool, name *byte) unix.Errno {
	nr := uintptr(unix.SYS_LREMOVEXATTR)
	if follow {
		nr = unix.SYS_REMOVEXATTR
	}
	_, _, e := syscall.Syscall(nr, uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(name)), 0)
	return e
}

// Listxattr writes the NUL-terminated names of the extended attributes of path to list, and
// returns their size in bytes: listxattr(2), or llistxattr(2) if follow is false. If list is
// empty, it only returns the size.
func Listxattr(path *byte, follow bool, list []byte) (int, unix.Errno) {
	nr := uintptr(unix.SYS_LLISTXATTR)
	if follow {
		nr = unix.SYS_LISTXATTR
	}
	n, _, e := syscall.Syscall(nr, uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(unsafe.SliceData(list))), uintptr(len(list)))
	return result(n, e)
}

// Fgetxattr is Getxattr for the descriptor fd: fgetxattr(2). The error is EBADF for O_PATH
// descriptors.
func Fgetxattr(fd int, name *byte, value []byte) (int, unix.Errno) {
	n, _, e := syscall.Syscall6(unix.SYS_FGETXATTR, uintptr(fd), uintptr(unsafe.Pointer(name)),
		uintptr(unsafe.Pointer(unsafe.SliceData(value))), uintptr(len(value)), 0, 0)
	return result(n, e)
}

// Fsetxattr is Setxattr for the descriptor fd: fsetxattr(2). The error is EBADF for O_PATH
// descriptors.
func Fsetxattr(fd int, name *byte, value []byte, flags uint32) unix.Errno {
	_, _, e := syscall.Syscall6(unix.SYS_FSETXATTR, uintptr(fd), uintptr(unsafe.Pointer(name)),
		uintptr(unsafe.Pointer(unsafe.SliceData(value))), uintptr(len(value)), uintptr(flags), 0)
	return e
}

// Fremovexattr is Removexattr for the descriptor fd: fremovexattr(2). The error is EBADF for
// O_PATH descriptors.
func Fremovexattr(fd int, name *byte) unix.Errno {
	_, _, e := syscall.Syscall(unix.SYS_FREMOVEXATTR, uintptr(fd), uintptr(unsafe.Pointer(name)), 0)
	return e
}

// LacksXattr reports whether e means that a file does not have the extended attribute, because
// it is not set (ENODATA) or because the file system has none (EOPNOTSUPP).
func LacksXattr(e unix.Errno) bool { return e == unix.ENODATA || e == unix.EOPNOTSUPP }

// HasGetxattrat reports whether the kernel has getxattrat(2), which came with Linux 6.13.
func HasGetxattrat() bool {
	_, _, e := syscall.Syscall6(unix.SYS_GETXATTRAT, ^uintptr(0), uintptr(unsafe.Pointer(Empty)), 0, 0, 0, 0)
	return e == unix.EINVAL // a struct xattr_args without a size
}
