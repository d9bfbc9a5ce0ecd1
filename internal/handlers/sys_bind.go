package handlers

import (
	"bytes"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// Bind answers bind(sockfd, addr, addrlen).
func Bind(c *Call) Result { return c.bindSocket(c.int32(0), c.addr(1), c.uint32(2)) }

// unixPath is where the path starts in a struct sockaddr_un.
const unixPath = int(unsafe.Offsetof(unix.RawSockaddrUnix{}.Path))

// sockaddr is a struct sockaddr_un, with a NUL behind it: the path ends with the address,
// if with no NUL.
type sockaddr [unix.SizeofSockaddrUnix + 1]byte

// unixAddress reads the address of a unix socket into sa, and returns the path that it
// is: nil if it is another address.
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

// isUnixSocket tells whether the caller's descriptor fd is a unix socket; before Linux 6.9,
// whether it is any socket.
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

// bind binds a unix socket to a path, which makes an inode. All other sockets are
// left to the kernel, and so are all errors.
func (c *Call) bind(sockfd int32, addr uintptr, size uint32) Result {
	var sa sockaddr
	if c.inRuntime() {
		return Continue
	}
	text := c.unixAddress(&sa, addr, size)
	if text == nil {
		return Continue
	}
	if c.Restricted() && !c.isUnixSocket(sockfd) {
		return Continue // EBADF, ENOTSOCK or EINVAL
	}
	dir, name, slash, e := c.Target.ParentOfText(text)
	if e != 0 || !c.Restricted() && (slash || c.kernelSufficesIn(dir)) {
		return Continue
	}
	stray := dir.ViaProcSelf()
	parent, e := c.openDirectory(dir)
	if e != 0 {
		return continueUnlessDenied(e)
	}
	defer c.close(parent)
	if c.Restricted() {
		if e := c.mayMake(parent, name, slash, unix.S_IFSOCK); e == unix.EACCES || e == unix.EROFS {
			return Errno(e)
		} else if e != 0 {
			return Continue
		}
	}
	if c.createsAsRoot() && !c.inherits(parent) {
		return Continue
	}
	// Before Linux 6.9 the socket cannot be had, and its inode belongs to root.
	socket, e := c.Target.Dup(sockfd)
	if e != 0 {
		return Continue
	}
	defer unix.Close(socket)
	// From the caller's working directory, so that getsockname(2) shows the address
	// as it was given. But through /proc/self the supervisor would find itself.
	from := parent.fd
	if stray {
		last := text[bytes.LastIndexByte(text, '/')+1:]
		size = uint32(unixPath + copy(sa[unixPath:], last))
	} else {
		if from, e = c.Target.OpenCwd(); e != 0 {
			return Errno(e)
		}
		defer unix.Close(from)
	}
	_, e = c.makeIn(parent, name, unix.S_IFSOCK|0o777, owner.Record{}, func(int, *byte, uint32) (int, unix.Errno) {
		e := sys.Fchdir(from)
		if e == 0 {
			e = sys.Bind(socket, sa[:size])
		}
		if back := c.Target.ReturnToProc(); back != 0 {
			panic("the supervisor's /proc is gone")
		}
		return -1, e
	})
	return Errno(e)
}
