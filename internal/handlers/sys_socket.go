package handlers

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// What needs a capability over a network namespace. In one of the container's, each task
// has all of them for the kernel. In the host's, nobody in the container has any, and the
// kernel is right. Before the kernel executes such a call of a caller that has not all of
// them, the supervisor tries it with those that the caller has: what the kernel refuses
// then is refused.

// netCaps are the capabilities over a network namespace.
const netCaps = cred.Caps(1<<unix.CAP_NET_BIND_SERVICE | 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_NET_RAW)

// lacksAnyCap tells whether the caller has not all of these capabilities: see lacks.
func (c *Call) lacksAnyCap(caps cred.Caps) bool {
	return c.Identities.InUse() && caps&^c.identity().Effective != 0 && c.Target.InOwnUserNamespace()
}

// maxAddress is the size of struct sockaddr_storage, the largest address.
const maxAddress = 128

// bindSocket binds a socket to an address.
func (c *Call) bindSocket(sockfd int32, addr uintptr, size uint32) Result {
	if size < 4 || size > maxAddress || c.inRuntime() || !c.lacksAnyCap(1<<unix.CAP_NET_BIND_SERVICE) {
		return c.bind(sockfd, addr, size)
	}
	var sa [maxAddress]byte
	if n, e := c.Target.Read(addr, sa[:size]); e != 0 || n < int(size) {
		return Continue // EFAULT
	}
	switch (*unix.RawSockaddr)(unsafe.Pointer(&sa)).Family {
	case unix.AF_INET, unix.AF_INET6, unix.AF_UNSPEC: // which bind takes for AF_INET
		return c.bindPort(sockfd, sa[:size])
	}
	return c.bind(sockfd, addr, size)
}

// bindPort binds an Internet socket.
//
// ip(7): "The port numbers below 1024 are called privileged ports [...]. Only a
// privileged process [...] may bind(2) to these sockets." Where they begin, each network
// namespace has its own ip_unprivileged_port_start to tell.
func (c *Call) bindPort(sockfd int32, sa []byte) Result {
	port := sa[2:4]
	if port[0] == 0 && port[1] == 0 { // any port
		return Continue
	}
	// Before Linux 6.9 the socket cannot be had.
	socket, e := c.Target.Dup(sockfd)
	if e != 0 {
		return Continue
	}
	defer unix.Close(socket)
	e = c.asCaller(func() unix.Errno {
		return sys.Bind(socket, sa)
	})
	// bind(2): "EINVAL The socket is already bound to an address": by the worker that died.
	if e == unix.EINVAL && c.Again && boundTo(socket, port) {
		e = 0
	}
	return Errno(e)
}

// boundTo tells whether our socket is bound to a port, in network byte order.
func boundTo(socket int, port []byte) bool {
	var sa [maxAddress]byte
	size, e := sys.Getsockname(socket, sa[:])
	return e == 0 && size >= 4 && sa[2] == port[0] && sa[3] == port[1]
}

// sockPacket is the obsolete SOCK_PACKET of packet(7).
const sockPacket = 10

// sockKind is SOCK_TYPE_MASK of <linux/net.h>.
const sockKind = 0xf

// Socket answers socket(domain, type, protocol) for the kinds of sockets that not
// everybody may make or use freely.
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
	// capability may send or listen to a netlink multicast group", or change anything. Of
	// a request, the kernel asks what the maker of the socket was capable of, too.
	case domain == unix.AF_NETLINK:
		return File(fd, kind&unix.SOCK_CLOEXEC != 0)
	}
	unix.Close(fd)
	return Continue
}

// socketNeedsCap tells whether a socket of the kind may need a capability, or have one.
//
// raw(7): "In order to create a raw socket, a process must have the CAP_NET_RAW
// capability". packet(7), of AF_PACKET, says the same.
func socketNeedsCap(domain, kind int32) bool {
	switch domain {
	case unix.AF_PACKET, unix.AF_NETLINK, unix.AF_KEY, unix.AF_XDP:
		return true
	case unix.AF_INET, unix.AF_INET6:
		return kind&sockKind == unix.SOCK_RAW || kind&sockKind == sockPacket
	}
	return false
}

// isPing tells whether a socket is one for ICMP Echo.
func isPing(domain, kind, protocol int32) bool {
	return kind&^(unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK) == unix.SOCK_DGRAM &&
		(domain == unix.AF_INET && protocol == unix.IPPROTO_ICMP || domain == unix.AF_INET6 && protocol == unix.IPPROTO_ICMPV6)
}

// pingSocket answers for a socket for ICMP Echo, which depends on the caller's groups.
func (c *Call) pingSocket() Result {
	if !c.Target.InOwnUserNamespace() || c.Target.EnterNetwork() != 0 {
		return Continue
	}
	low, high, e := c.Target.PingGroups()
	if e == 0 && !cred.MayPing(c.identity().Credentials, low, high) {
		return Errno(unix.EACCES)
	}
	return Continue
}

// Setsockopt answers setsockopt(sockfd, level, optname, optval, optlen) for the options
// that need a capability.
func Setsockopt(c *Call) Result {
	return c.setsockopt(c.int32(0), c.int32(1), c.int32(2), c.addr(3), c.int32(4))
}

// privilegedOption tells whether an option needs CAP_NET_ADMIN or CAP_NET_RAW, and has an
// integer as its value. To set such an option twice is the same as once.
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

// The ioctl commands that configure interfaces, routes and the ARP cache, of which
// netdevice(7), and <linux/sockios.h>, say that they need CAP_NET_ADMIN. Those that only
// show something are not among them, nor is SIOCETHTOOL, which does both.
func configures(cmd uint32) bool {
	switch cmd {
	case unix.SIOCADDRT, unix.SIOCDELRT, unix.SIOCSIFFLAGS, unix.SIOCSIFADDR, unix.SIOCSIFDSTADDR, unix.SIOCSIFBRDADDR,
		unix.SIOCSIFNETMASK, unix.SIOCSIFMETRIC, unix.SIOCSIFMTU, unix.SIOCSIFNAME, unix.SIOCSIFHWADDR, unix.SIOCSIFSLAVE,
		unix.SIOCADDMULTI, unix.SIOCDELMULTI, unix.SIOCSIFPFLAGS, unix.SIOCDIFADDR, unix.SIOCSIFHWBROADCAST,
		unix.SIOCDARP, unix.SIOCSARP, unix.SIOCSIFMAP, unix.SIOCBRADDBR, unix.SIOCBRDELBR,
		unix.SIOCBRADDIF, unix.SIOCBRDELIF:
		return true
	}
	return false
}

// nowhere is an address that nobody has mapped.
const nowhere = 1

// configure answers ioctl(sockfd, cmd, argp) for such a command.
func (c *Call) configure() Result {
	if !c.lacksAnyCap(1 << unix.CAP_NET_ADMIN) {
		return Continue
	}
	fd, e := c.Target.Dup(c.int32(0))
	if e != 0 {
		return Continue
	}
	defer unix.Close(fd)
	// Room for the largest structure, struct rtentry. The kernel reads what pointers in it
	// lead to after it has checked the capability.
	var b [128]byte
	n, e := c.Target.Read(c.addr(2), b[:])
	readable := e == 0 && n > 0
	e = c.asCaller(func() (e unix.Errno) {
		if readable {
			e = sys.Ioctl(fd, c.uint32(1), unsafe.Pointer(&b))
		} else { // EFAULT, if the kernel gets as far as that
			_, e = sys.IoctlInt(fd, c.uint32(1), nowhere)
		}
		return e
	})
	if e == unix.EPERM {
		return Errno(e)
	}
	return Continue
}
