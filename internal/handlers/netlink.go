package handlers

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// netlinkCaps are the capabilities that netlink sockets need for groups and other receivers than
// the kernel: netlink(7). CAP_SYS_ADMIN is for some groups of generic netlink.
const netlinkCaps = cred.Caps(1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_SYS_ADMIN)

// netlinkAddress handles connect(2), or bind(2), of the socket sockfd with the address sa, whose
// family is AF_NETLINK.
//
// netlink(7): "Only processes with an effective UID of 0 or the CAP_NET_ADMIN capability may send
// or listen to a netlink multicast group." For which protocols and groups that is so, the kernel
// knows: the supervisor tries the call with a socket of its own, because a socket may get its number
// from the process that makes the call.
func (c *Call) netlinkAddress(sockfd int32, sa []byte, bind bool) Result {
	if len(sa) < unix.SizeofSockaddrNetlink || !c.lacksAnyCap(netlinkCaps) {
		return Continue
	}
	socket, e := c.Target.Dup(sockfd)
	if e != 0 {
		return unchecked(e)
	}
	domain, e := sys.SocketOption(socket, unix.SO_DOMAIN)
	protocol, e2 := sys.SocketOption(socket, unix.SO_PROTOCOL)
	unix.Close(socket)
	if e != 0 || e2 != 0 || domain != unix.AF_NETLINK || c.Target.EnterNetwork() != 0 {
		return Continue
	}
	own, e := sys.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int32(protocol))
	if e != 0 {
		return Continue
	}
	defer unix.Close(own)
	e = c.asCaller(func() unix.Errno {
		if bind {
			return sys.Bind(own, sa)
		}
		return sys.Connect(own, sa)
	})
	if e == unix.EPERM {
		return Errno(e)
	}
	return Continue
}

// bindNetlink is netlinkAddress for bind(2), which needs a capability for groups only.
func (c *Call) bindNetlink(sockfd int32, sa []byte) Result {
	if len(sa) < unix.SizeofSockaddrNetlink {
		return Continue // EINVAL
	}
	address := (*unix.RawSockaddrNetlink)(unsafe.Pointer(&sa[0]))
	if address.Groups == 0 {
		return Continue
	}
	address.Pid = 0 // any
	return c.netlinkAddress(sockfd, sa, true)
}
