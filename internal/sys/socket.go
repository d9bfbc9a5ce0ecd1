package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Socket is socket(2), with SOCK_CLOEXEC.
func Socket(domain, kind, protocol int32) (int, unix.Errno) {
	fd, _, e := syscall.RawSyscall(unix.SYS_SOCKET, uintptr(domain), uintptr(kind)|unix.SOCK_CLOEXEC, uintptr(protocol))
	return result(fd, e)
}

// Bind is bind(2). Address is a struct sockaddr.
func Bind(fd int, address []byte) unix.Errno {
	_, _, e := syscall.RawSyscall(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(address))), uintptr(len(address)))
	return e
}

// Getsockname is getsockname(2). It fills address with a struct sockaddr, and returns the size
// of the socket's address in bytes, which may be greater than len(address).
func Getsockname(fd int, address []byte) (int, unix.Errno) {
	size := uint32(len(address))
	_, _, e := syscall.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(address))), uintptr(unsafe.Pointer(&size)))
	return int(size), e
}

// Setsockopt is setsockopt(2).
func Setsockopt(fd int, level, name int32, value []byte) unix.Errno {
	_, _, e := syscall.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name),
		uintptr(unsafe.Pointer(unsafe.SliceData(value))), uintptr(len(value)), 0)
	return e
}

// PeerCredentials fills c with the credentials of the process at the other end of the Unix
// socket fd: unix(7), SO_PEERCRED.
func PeerCredentials(fd int, c *unix.Ucred) unix.Errno {
	size := uint32(unsafe.Sizeof(*c))
	_, _, e := syscall.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERCRED,
		uintptr(unsafe.Pointer(c)), uintptr(unsafe.Pointer(&size)), 0)
	return e
}
