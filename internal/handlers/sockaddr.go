package handlers

import (
	"bytes"
	"unsafe"

	"golang.org/x/sys/unix"
)

// unixPath is the offset of the path in struct sockaddr_un.
const unixPath = int(unsafe.Offsetof(unix.RawSockaddrUnix{}.Path))

// sockaddr is a struct sockaddr_un followed by a NUL, because the path need not be
// NUL-terminated: it ends with the address.
type sockaddr [unix.SizeofSockaddrUnix + 1]byte

// unixAddress reads the address of a unix socket into sa, and returns its path: nil if it
// is an address of another kind.
func (c *Call) unixAddress(sa *sockaddr, addr uintptr, size uint32) []byte {
	if size <= uint32(unixPath) || size > unix.SizeofSockaddrUnix {
		return nil
	}
	if n, e := c.Target.Read(addr, sa[:size]); e != 0 || n < int(size) {
		return nil
	}
	// unix(7), of abstract addresses: "sun_path[0] is a null byte".
	family := (*unix.RawSockaddrUnix)(unsafe.Pointer(sa)).Family
	if family != unix.AF_UNIX || sa[unixPath] == 0 {
		return nil
	}
	text := sa[unixPath:]
	return text[:bytes.IndexByte(text, 0)]
}

// isUnixSocket reports whether the caller's descriptor fd is a unix socket; if the kernel
// cannot duplicate it, whether it is any socket.
func (c *Call) isUnixSocket(fd int32) bool {
	socket, e := c.Target.Dup(fd)
	if e == unix.ENOSYS {
		i, e := c.openFD(fd)
		if e != 0 {
			return false
		}
		defer c.close(i)
		return i.kind() == unix.S_IFSOCK
	}
	if e != 0 {
		return false
	}
	defer unix.Close(socket)
	domain, err := unix.GetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_DOMAIN)
	return err == nil && domain == unix.AF_UNIX
}

// maxAddress is the size of struct sockaddr_storage, the largest address.
const maxAddress = 128
