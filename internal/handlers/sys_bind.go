package handlers

import (
	"bytes"
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// Bind handles bind(sockfd, addr, addrlen).
func Bind(c *Call) Result { return c.bind(c.int32(0), c.addr(1), c.uint32(2)) }

// bind binds a socket to an address.
func (c *Call) bind(sockfd int32, addr uintptr, size uint32) Result {
	if size < 4 || size > maxAddress || c.inRuntime() || !c.lacksAnyCap(1<<unix.CAP_NET_BIND_SERVICE|netlinkCaps) {
		return c.bindUnix(sockfd, addr, size)
	}
	var sa [maxAddress]byte
	if n, e := c.Target.Read(addr, sa[:size]); e != 0 || n < int(size) {
		return Continue // EFAULT
	}
	switch (*unix.RawSockaddr)(unsafe.Pointer(&sa)).Family {
	case unix.AF_INET, unix.AF_INET6, unix.AF_UNSPEC: // which bind(2) treats as AF_INET
		return c.bindPort(sockfd, sa[:size])
	case unix.AF_NETLINK:
		return c.bindNetlink(sockfd, sa[:size])
	}
	return c.bindUnix(sockfd, addr, size)
}

// unprivilegedPorts is the default of ip_unprivileged_port_start.
const unprivilegedPorts = 1024

// bindPort binds an Internet socket.
//
// ip(7): "The port numbers below 1024 are called privileged ports [...]. Only a privileged
// process [...] may bind(2) to these sockets." The limit is ip_unprivileged_port_start of
// the network namespace.
func (c *Call) bindPort(sockfd int32, sa []byte) Result {
	port := sa[2:4]
	if port[0] == 0 && port[1] == 0 || !c.lacksAnyCap(1<<unix.CAP_NET_BIND_SERVICE) { // any port
		return Continue
	}
	socket, e := c.Target.Dup(sockfd)
	if e == unix.ENOSYS && binary.BigEndian.Uint16(port) < unprivilegedPorts {
		return Errno(unix.EACCES) // see unchecked
	}
	if e != 0 {
		return Continue
	}
	defer unix.Close(socket)
	e = c.asCaller(func() unix.Errno {
		return sys.Bind(socket, sa)
	})
	// bind(2): "EINVAL The socket is already bound to an address": by an earlier attempt.
	if e == unix.EINVAL && c.Again && boundTo(socket, port) {
		e = 0
	}
	return Errno(e)
}

// boundTo reports whether our socket is bound to a port, in network byte order.
func boundTo(socket int, port []byte) bool {
	var sa [maxAddress]byte
	size, e := sys.Getsockname(socket, sa[:])
	return e == 0 && size >= 4 && sa[2] == port[0] && sa[3] == port[1]
}

// bindUnix binds a unix socket to a path, which creates an inode. The kernel binds all
// other sockets, and finds all errors.
func (c *Call) bindUnix(sockfd int32, addr uintptr, size uint32) Result {
	var sa sockaddr
	switch {
	case c.inRuntime():
		return Continue
	case c.finished():
		return Errno(0)
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
	viaSelf := dir.ViaProcSelf()
	parent, e := c.openDirectory(dir)
	if e != 0 {
		return continueUnlessDenied(e)
	}
	parent = c.begunIn(parent)
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
	// If the kernel cannot duplicate the socket, the inode belongs to root.
	socket, e := c.Target.Dup(sockfd)
	if e != 0 {
		return Continue
	}
	defer unix.Close(socket)
	// Bind relative to the caller's working directory, so that getsockname(2) shows the
	// address as the caller gave it. A path through /proc/self would lead to the
	// supervisor, so that such a socket is bound relative to the directory.
	from := parent.fd
	if viaSelf {
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
			panic("cannot return to the supervisor's /proc")
		}
		return -1, e
	})
	return Errno(e)
}
