package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// Setsockopt handles setsockopt(sockfd, level, optname, optval, optlen) for options that
// need a capability, and for SO_PASSCRED.
func Setsockopt(c *Call) Result {
	return c.setsockopt(c.int32(0), c.int32(1), c.int32(2), c.addr(3), c.int32(4))
}

// privilegedOption reports whether an option needs CAP_NET_ADMIN or CAP_NET_RAW, and has an
// integer value. Setting such an option twice has the same effect as once.
func privilegedOption(level, name int32) bool {
	switch level {
	case unix.SOL_SOCKET:
		return name == unix.SO_MARK || name == unix.SO_RCVMARK
	case unix.SOL_IP:
		return name == unix.IP_TRANSPARENT
	case unix.SOL_IPV6:
		return name == unix.IPV6_TRANSPARENT
	case unix.SOL_TCP:
		return name == unix.TCP_REPAIR
	}
	return false
}

func (c *Call) setsockopt(sock, level, name int32, value uintptr, size int32) Result {
	if level == unix.SOL_SOCKET && name == unix.SO_PASSCRED {
		c.Sockets.pass()
		return Continue
	}
	if !privilegedOption(level, name) || !c.lacksAnyCap(netCaps) || size < 0 {
		return Continue
	}
	var b [4]byte
	if n, e := c.Target.Read(value, b[:min(int(size), len(b))]); e != 0 || n < min(int(size), len(b)) {
		return Continue // EFAULT
	}
	fd, e := c.Target.Dup(sock)
	if e != 0 {
		return Continue
	}
	defer unix.Close(fd)
	e = c.asCaller(func() unix.Errno {
		return sys.Setsockopt(fd, level, name, b[:min(int(size), len(b))])
	})
	if e == unix.EPERM {
		return Errno(e)
	}
	return Continue
}
