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
		{2, ^uint32(0), unix.SO_MARK}, {2, ^uint32(0), unix.SO_RCVMARK /* and IPV6_TRANSPARENT */}, {2, ^uint32(0), unix.IP_TRANSPARENT /* and TCP_REPAIR */}, {2, ^uint32(0), unix.SO_PASSCRED},
	}, Note: "SO_MARK, SO_RCVMARK, IP_TRANSPARENT and TCP_REPAIR need CAP_NET_RAW or CAP_NET_ADMIN; from the first SO_PASSCRED on, `recvmsg` looks at credentials"},
	{Name: "getsockopt", Handler: handlers.Getsockopt, Args: []Arg{FD, Int, Int, Ptr, Ptr}, When: []ArgTest{
		{2, ^uint32(0), unix.SO_PEERCRED}, {2, ^uint32(0), unix.SO_PEERGROUPS},
	}, Note: "SO_PEERCRED and SO_PEERGROUPS show the peer's emulated ids"},
	{Name: "sendmsg", Handler: handlers.Sendmsg, I386: handlers.Sendmsg32, Args: []Arg{FD, Ptr, Flags}, Checks: ChecksOnly,
		// crun before 1.6, and youki, send the listener from the container's first process,
		// without flags.
		WhenBundled: []ArgTest{{2, unix.MSG_NOSIGNAL, unix.MSG_NOSIGNAL}}, Note: sendNote + "; in OCI bundles, with MSG_NOSIGNAL only"},
	{Name: "sendmmsg", Handler: handlers.Sendmmsg, I386: handlers.Sendmmsg32, Args: []Arg{FD, Ptr, Size, Flags}, Checks: ChecksOnly, Note: sendNote},
	{Name: "recvmsg", Handler: handlers.Recvmsg, I386: handlers.Recvmsg32, Args: []Arg{FD, Ptr, Flags}, Checks: ChecksOnly, Note: receiveNote},
	{Name: "recvmmsg", Handler: handlers.Recvmmsg, I386: handlers.Recvmmsg32, Args: []Arg{FD, Ptr, Size, Flags, Ptr}, Checks: ChecksOnly, Note: receiveNote},
	{Name: "recvmmsg_time64", Handler: handlers.Recvmmsg, I386: handlers.Recvmmsg32, Args: []Arg{FD, Ptr, Size, Flags, Ptr}, Checks: ChecksOnly, Note: receiveNote},
	{Name: "socketcall", Handler: handlers.Socketcall, Args: []Arg{Int, Ptr}, Checks: ChecksMore,
		When: append(socketcalls, ArgTest{0, ^uint32(0), handlers.SocketcallConnect},
			ArgTest{0, ^uint32(0), handlers.SocketcallSendmsg}, ArgTest{0, ^uint32(0), handlers.SocketcallRecvmsg},
			ArgTest{0, ^uint32(0), handlers.SocketcallRecvmmsg}, ArgTest{0, ^uint32(0), handlers.SocketcallSendmmsg}),
		WhenUnchecked: socketcalls,
		Note:          "`socket`, `bind`, `connect`, `setsockopt`, `getsockopt`, `sendmsg`, `recvmsg` and their variants, under the same conditions"},
}

const (
	sendNote    = "SCM_CREDENTIALS may name emulated ids"
	receiveNote = "SCM_CREDENTIALS shows the sender's emulated ids, on sockets with SO_PASSCRED"
)

// socketcalls select the calls of socketcall(2) that are answered even with
// --permissions=off.
var socketcalls = []ArgTest{
	{0, ^uint32(0), handlers.SocketcallSocket}, {0, ^uint32(0), handlers.SocketcallBind},
	{0, ^uint32(0), handlers.SocketcallSetsockopt}, {0, ^uint32(0), handlers.SocketcallGetsockopt},
}
