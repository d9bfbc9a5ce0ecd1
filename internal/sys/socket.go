package sys

import (
	"encoding/binary"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Socket is socket(2), with SOCK_CLOEXEC.
func Socket(domain, kind, protocol int32) (int, unix.Errno) {
	fd, _, e := syscall.RawSyscall(unix.SYS_SOCKET, uintptr(domain), uintptr(kind)|unix.SOCK_CLOEXEC, uintptr(protocol))
	return result(fd, e)
}

// Connect is connect(2). Address is a struct sockaddr.
func Connect(fd int, address []byte) unix.Errno {
	_, _, e := syscall.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(address))), uintptr(len(address)))
	return e
}

// Bind is bind(2). Address is a struct sockaddr.
func Bind(fd int, address []byte) unix.Errno {
	_, _, e := syscall.Syscall(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(address))), uintptr(len(address)))
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

// Getsockopt is getsockopt(2). It returns the size of the option in value.
func Getsockopt(fd, level, name int, value []byte) (int, unix.Errno) {
	size := uint32(len(value))
	_, _, e := syscall.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name),
		uintptr(unsafe.Pointer(unsafe.SliceData(value))), uintptr(unsafe.Pointer(&size)), 0)
	return int(size), e
}

// SocketOption returns an option of the level SOL_SOCKET whose value is an int: socket(7).
func SocketOption(fd, name int) (int, unix.Errno) {
	var v [4]byte
	_, e := Getsockopt(fd, unix.SOL_SOCKET, name, v[:])
	return int(int32(binary.NativeEndian.Uint32(v[:]))), e
}

// Recvmsg is recvmsg(2). Flags must have MSG_DONTWAIT: the thread must not block.
func Recvmsg(fd int, m *unix.Msghdr, flags uint32) (int, unix.Errno) {
	n, _, e := syscall.RawSyscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(m)), uintptr(flags))
	return result(n, e)
}

// Sendmsg is sendmsg(2). Flags must have MSG_DONTWAIT: the thread must not block.
func Sendmsg(fd int, m *unix.Msghdr, flags uint32) (int, unix.Errno) {
	n, _, e := syscall.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(m)), uintptr(flags))
	return result(n, e)
}
