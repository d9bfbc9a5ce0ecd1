package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// Operations that need a capability over a network namespace. In the container's own, the
// kernel grants every task all of them. In the host's, no task of the container has any,
// and the kernel is right. If the caller lacks such a capability, the supervisor tries the
// operation with the caller's capabilities before the kernel executes it, and refuses what
// the kernel refuses.

// sockPacket is the obsolete SOCK_PACKET of packet(7).
const sockPacket = 10

// sockKind is SOCK_TYPE_MASK of <linux/net.h>.
const sockKind = 0xf

// Socket handles socket(domain, type, protocol) for sockets that need a capability to be
// created or used.
func Socket(c *Call) Result { return c.socket(c.int32(0), c.int32(1), c.int32(2)) }

func (c *Call) socket(domain, kind, protocol int32) Result {
	if !c.Identities.InUse() {
		return Continue
	}
	if isPing(domain, kind, protocol) {
		return c.pingSocket()
	}
	if !socketNeedsCap(domain, kind) || !c.lacksAnyCap(netCaps) || c.Target.EnterNetwork() != 0 {
		return Continue
	}
	var fd int
	e := c.asCaller(func() (e unix.Errno) {
		fd, e = sys.Socket(domain, kind, protocol)
		return e
	})
	switch {
	case e == unix.EPERM:
		return Errno(e)
	case e != 0:
		return Continue
	// netlink(7): "Only processes with an effective UID of 0 or the CAP_NET_ADMIN
	// capability may send or listen to a netlink multicast group", or change anything. For
	// a request, the kernel also checks the capabilities of the creator of the socket.
	case domain == unix.AF_NETLINK:
		return File(fd, kind&unix.SOCK_CLOEXEC != 0)
	}
	unix.Close(fd)
	return Continue
}

// socketNeedsCap reports whether a socket of the kind may need a capability, or convey one.
//
// raw(7): "In order to create a raw socket, a process must have the CAP_NET_RAW
// capability". packet(7) says the same about AF_PACKET.
func socketNeedsCap(domain, kind int32) bool {
	switch domain {
	case unix.AF_PACKET, unix.AF_NETLINK, unix.AF_KEY, unix.AF_XDP:
		return true
	case unix.AF_INET, unix.AF_INET6:
		return kind&sockKind == unix.SOCK_RAW || kind&sockKind == sockPacket
	}
	return false
}

// isPing reports whether a socket is for ICMP Echo.
func isPing(domain, kind, protocol int32) bool {
	return kind&^(unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK) == unix.SOCK_DGRAM &&
		(domain == unix.AF_INET && protocol == unix.IPPROTO_ICMP || domain == unix.AF_INET6 && protocol == unix.IPPROTO_ICMPV6)
}

// pingSocket handles a socket for ICMP Echo, which depends on the caller's groups.
func (c *Call) pingSocket() Result {
	if c.Target.EnterNetwork() != 0 {
		return Continue
	}
	low, high, e := c.Target.PingGroups()
	if e == 0 && !cred.MayPing(c.identity().Credentials, low, high) {
		return Errno(unix.EACCES)
	}
	return Continue
}
