package syscalls

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/handlers"
)

// socketRows are the calls that need a capability over the network namespace, and
// those that show the credentials of a socket's peer.
var socketRows = []Row{
	{Name: "socket", Handler: handlers.Socket, Args: []Arg{Int, Flags, Int}, When: []ArgTest{
		// Few bits (see Row about complements): those of AF_NETLINK and AF_PACKET,
		// SOCK_RAW, SOCK_PACKET, IPPROTO_ICMP and IPPROTO_ICMPV6 that are clear for
		// TCP, UDP and AF_UNIX sockets.
		{0, 0x10, 0x10}, {1, 0x3, unix.SOCK_RAW}, {1, 0x8, 0x8}, {2, 0x11, unix.IPPROTO_ICMP}, {2, 0x20, 0x20},
	}, Note: "raw, packet and netlink sockets get the caller's CAP_NET_RAW and CAP_NET_ADMIN; ICMP Echo sockets follow `ping_group_range`"},
	{Name: "setsockopt", Handler: handlers.Setsockopt, Args: []Arg{FD, Int, Int, Ptr, Size}, When: []ArgTest{
		{2, ^uint32(0), unix.SO_MARK}, {2, ^uint32(0), unix.SO_RCVMARK /* and IPV6_TRANSPARENT */}, {2, ^uint32(0), unix.IP_TRANSPARENT /* and TCP_REPAIR */},
	}, Note: "SO_MARK, SO_RCVMARK, IP_TRANSPARENT and TCP_REPAIR need CAP_NET_RAW or CAP_NET_ADMIN"},
	{Name: "getsockopt", Handler: handlers.Getsockopt, Args: []Arg{FD, Int, Int, Ptr, Ptr}, When: []ArgTest{
		{2, ^uint32(0), unix.SO_PEERCRED}, {2, ^uint32(0), unix.SO_PEERGROUPS},
	}, Note: "SO_PEERCRED and SO_PEERGROUPS show the peer's emulated ids"},
	{Name: "socketcall", Handler: handlers.Socketcall, Args: []Arg{Int, Ptr}, Checks: ChecksMore,
		When: append(socketcalls, ArgTest{0, ^uint32(0), handlers.SocketcallConnect}), WhenUnchecked: socketcalls,
		Note: "`socket`, `bind`, `connect`, `setsockopt` and `getsockopt`, under the same conditions"},
}

// socketcalls select the calls of socketcall(2) that are answered even with
// --permissions=off.
var socketcalls = []ArgTest{
	{0, ^uint32(0), handlers.SocketcallSocket}, {0, ^uint32(0), handlers.SocketcallBind},
	{0, ^uint32(0), handlers.SocketcallSetsockopt}, {0, ^uint32(0), handlers.SocketcallGetsockopt},
}
