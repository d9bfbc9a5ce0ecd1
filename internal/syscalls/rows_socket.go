package syscalls

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/handlers"
)

// socketRows are the calls that need a capability over the network namespace, and those
// that tell who is at the other end of a socket.
var socketRows = []Row{
	{Name: "socket", Handler: handlers.Socket, Args: []Arg{Int, Flags, Int}, When: []ArgTest{
		// Few bits, because package bundle needs the complements: those of AF_NETLINK and AF_PACKET,
		// SOCK_RAW, SOCK_PACKET, IPPROTO_ICMP and IPPROTO_ICMPV6 that sockets for TCP, UDP and AF_UNIX do not have.
		{0, 0x10, 0x10}, {1, 0x3, unix.SOCK_RAW}, {1, 0x8, 0x8}, {2, 0x11, unix.IPPROTO_ICMP}, {2, 0x20, 0x20},
	}, Note: "CAP_NET_RAW or CAP_NET_ADMIN; sockets for ICMP Echo by group"},
	{Name: "setsockopt", Handler: handlers.Setsockopt, Args: []Arg{FD, Int, Int, Ptr, Size}, When: []ArgTest{
		{2, ^uint32(0), unix.SO_MARK}, {2, ^uint32(0), unix.SO_RCVMARK /* and IPV6_TRANSPARENT */}, {2, ^uint32(0), unix.IP_TRANSPARENT /* and TCP_REPAIR */},
	}, Note: "CAP_NET_RAW or CAP_NET_ADMIN"},
	{Name: "getsockopt", Handler: handlers.Getsockopt, Args: []Arg{FD, Int, Int, Ptr, Ptr}, When: []ArgTest{
		{2, ^uint32(0), unix.SO_PEERCRED}, {2, ^uint32(0), unix.SO_PEERGROUPS},
	}, Note: "the peer's emulated ids"},
	{Name: "socketcall", Handler: handlers.Socketcall, Args: []Arg{Int, Ptr}, Checks: ChecksMore,
		When: append(socketcalls, ArgTest{0, ^uint32(0), handlers.SocketcallConnect}), WhenUnchecked: socketcalls,
		Note: "socket, bind, connect, setsockopt and getsockopt, as far as these are notified"},
}

// socketcalls are the tests for the calls of socketcall(2) that do not depend on the
// permissions of files.
var socketcalls = []ArgTest{
	{0, ^uint32(0), handlers.SocketcallSocket}, {0, ^uint32(0), handlers.SocketcallBind},
	{0, ^uint32(0), handlers.SocketcallSetsockopt}, {0, ^uint32(0), handlers.SocketcallGetsockopt},
}
