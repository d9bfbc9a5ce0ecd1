package handlers

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/perm"
)

// Connect handles connect(sockfd, addr, addrlen).
func Connect(c *Call) Result { return c.connect(c.int32(0), c.addr(1), c.uint32(2)) }

// connect lets the kernel connect a unix socket to a path if the caller may, and a netlink socket
// to other receivers than the kernel.
//
// unix(7): "Connecting to the socket object requires read/write permission". Linux checks
// write permission only.
func (c *Call) connect(sockfd int32, addr uintptr, size uint32) Result {
	if !c.Restricted() && !c.lacksAnyCap(netlinkCaps) {
		return Continue
	}
	var sa sockaddr
	text := c.unixAddress(&sa, addr, size)
	if text == nil {
		if (*unix.RawSockaddr)(unsafe.Pointer(&sa)).Family == unix.AF_NETLINK {
			return c.netlinkAddress(sockfd, sa[:size], false)
		}
		return Continue
	}
	if !c.Restricted() || !c.isUnixSocket(sockfd) {
		return Continue // perhaps EBADF, ENOTSOCK or EAFNOSUPPORT
	}
	p, e := c.Target.PathOf(text)
	if e != 0 {
		return Continue
	}
	i, e := c.openPath(p)
	if e == 0 {
		e = c.permits(i, perm.Write)
		c.close(i)
	}
	return continueUnlessDenied(e)
}
