package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// Setsockopt handles setsockopt(sockfd, level, optname, optval, optlen) for options that
// need a capability, and for SO_PASSCRED.
func Setsockopt(c *Call) Result {
	return c.setsockopt(c.int32(0), c.int32(1), c.int32(2), c.addr(3), c.int32(4))
}

// optionCaps returns the capabilities that let a caller set an option to values, or under
// conditions, that are refused to others. It is 0 for options that everybody may set, and for
// those that need a capability in the initial user namespace.
func optionCaps(level, name int32) cred.Caps {
	const raw, admin = cred.Caps(1 << unix.CAP_NET_RAW), cred.Caps(1 << unix.CAP_NET_ADMIN)
	switch level {
	case unix.SOL_SOCKET:
		switch name {
		case unix.SO_MARK, unix.SO_RCVMARK, unix.SO_PRIORITY:
			return raw | admin
		case unix.SO_BINDTODEVICE, unix.SO_BINDTOIFINDEX: // of a socket that is bound to another one
			return raw
		case unix.SO_TXTIME:
			return admin
		}
	case unix.SOL_IP:
		if name == unix.IP_TRANSPARENT {
			return raw | admin
		}
	case unix.SOL_IPV6:
		switch name {
		case unix.IPV6_TRANSPARENT:
			return raw | admin
		case unix.IPV6_HOPOPTS, unix.IPV6_RTHDRDSTOPTS, unix.IPV6_DSTOPTS:
			return raw
		}
	case unix.SOL_TCP:
		if name == unix.TCP_REPAIR || name == unix.TCP_CONGESTION {
			return admin
		}
	case unix.SOL_NETLINK:
		switch name {
		case unix.NETLINK_ADD_MEMBERSHIP, unix.NETLINK_DROP_MEMBERSHIP:
			return netlinkCaps
		case unix.NETLINK_LISTEN_ALL_NSID:
			return 1 << unix.CAP_NET_BROADCAST
		}
	}
	return 0
}

// maxOption is the size of the largest value that is read: IFNAMSIZ and TCP_CA_NAME_MAX. The kernel
// ignores what exceeds it, or checks the capability before it reads the value.
const maxOption = 16

func (c *Call) setsockopt(sock, level, name int32, value uintptr, size int32) Result {
	if level == unix.SOL_SOCKET && name == unix.SO_PASSCRED {
		c.Sockets.pass()
		return Continue
	}
	if caps := optionCaps(level, name); caps == 0 || !c.lacksAnyCap(caps) || size < 0 {
		return Continue
	}
	var room [maxOption]byte
	b := room[:min(int(size), len(room))]
	if n, e := c.Target.Read(value, b); e != 0 || n < len(b) {
		return Continue // EFAULT
	}
	fd, e := c.Target.Dup(sock)
	if e != 0 {
		return unchecked(e)
	}
	defer unix.Close(fd)
	if !c.Listener.Waits() {
		return Errno(unix.ESRCH)
	}
	e = c.asCallerOn(fd, func() unix.Errno {
		return sys.Setsockopt(fd, level, name, b)
	})
	// A socket that has been bound to a device needs a capability to be bound again.
	return Result{Errno: e, Final: e == 0}
}
