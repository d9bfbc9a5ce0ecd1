package syscalls

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/handlers"
)

// socketRows are the calls that need a capability over the network namespace, and
// those that show the credentials of a socket's peer.
var socketRows = []Row{
	{Name: "socket", Handler: handlers.Socket, Args: []Arg{Int, Flags, Int}, When: []Condition{
		// Few bits (see Row about complements): those of AF_NETLINK and AF_PACKET,
		// SOCK_RAW, SOCK_PACKET, IPPROTO_ICMP and IPPROTO_ICMPV6 that are clear for
		// TCP, UDP and AF_UNIX sockets.
		{{0, 0x10, 0x10}}, {{1, 0x3, unix.SOCK_RAW}}, {{1, 0x8, 0x8}}, {{2, 0x11, unix.IPPROTO_ICMP}}, {{2, 0x20, 0x20}},
	}, Note: "raw, packet and netlink sockets get the caller's CAP_NET_RAW and CAP_NET_ADMIN; ICMP Echo sockets follow `ping_group_range`"},
	{Name: "setsockopt", Handler: handlers.Setsockopt, Args: []Arg{FD, Int, Int, Ptr, Size}, When: []Condition{
		// The number of an option means another one at another level: SO_PRIORITY is TCP_QUICKACK.
		// Few bits (see Row) that tell these options and levels from those that programs often set,
		// in the order that needs the fewest rules in a bundle.
		{{1, 0x6, unix.SOL_TCP}, {2, 0xd, unix.TCP_CONGESTION}},
		{{2, 0xd, unix.SO_PRIORITY}, {1, 0x19, unix.SOL_SOCKET}},
		{{2, 0x7c, unix.SO_PASSCRED /* and IP_TRANSPARENT, TCP_REPAIR */}},
		{{2, 0x18, unix.SO_BINDTODEVICE & 0x18 /* and SO_TXTIME, SO_BINDTOIFINDEX */}, {1, 0x19, unix.SOL_SOCKET}},
		{{2, 0x74, unix.NETLINK_ADD_MEMBERSHIP & 0x74 /* and NETLINK_DROP_MEMBERSHIP, NETLINK_LISTEN_ALL_NSID */}, {1, 0x100, unix.SOL_NETLINK & 0x100}},
		{{2, 0x7f, unix.SO_RCVMARK /* and IPV6_TRANSPARENT */}},
		{{1, 0x28, unix.SOL_IPV6 & 0x28}, {2, 0x32, unix.IPV6_HOPOPTS & 0x32 /* and IPV6_RTHDRDSTOPTS, IPV6_DSTOPTS */}},
		{{2, 0x7f, unix.SO_MARK}},
	}, Note: "options that need CAP_NET_RAW or CAP_NET_ADMIN, such as SO_MARK, a high SO_PRIORITY and NETLINK_ADD_MEMBERSHIP; from the first SO_PASSCRED on, `recvmsg` looks at credentials"},
	{Name: "getsockopt", Handler: handlers.Getsockopt, Args: []Arg{FD, Int, Int, Ptr, Ptr}, When: []Condition{
		{{2, ^uint32(0), unix.SO_PEERCRED}}, {{2, ^uint32(0), unix.SO_PEERGROUPS}},
	}, Note: "SO_PEERCRED and SO_PEERGROUPS show the peer's emulated ids"},
	{Name: "sendmsg", Handler: handlers.Sendmsg, I386: handlers.Sendmsg32, Args: []Arg{FD, Ptr, Flags}, Checks: ChecksOnly,
		// crun before 1.6, and youki, send the listener from the container's first process,
		// without flags.
		WhenBundled: []Condition{{{2, unix.MSG_NOSIGNAL, unix.MSG_NOSIGNAL}}}, Note: sendNote + "; in OCI bundles, with MSG_NOSIGNAL only"},
	{Name: "sendmmsg", Handler: handlers.Sendmmsg, I386: handlers.Sendmmsg32, Args: []Arg{FD, Ptr, Size, Flags}, Checks: ChecksOnly, Note: sendNote},
	{Name: "recvmsg", Handler: handlers.Recvmsg, I386: handlers.Recvmsg32, Args: []Arg{FD, Ptr, Flags}, Checks: ChecksOnly, Note: receiveNote},
	{Name: "recvmmsg", Handler: handlers.Recvmmsg, I386: handlers.Recvmmsg32, Args: []Arg{FD, Ptr, Size, Flags, Ptr}, Checks: ChecksOnly, Note: receiveNote},
	{Name: "recvmmsg_time64", Handler: handlers.Recvmmsg, I386: handlers.Recvmmsg32, Args: []Arg{FD, Ptr, Size, Flags, Ptr}, Checks: ChecksOnly, Note: receiveNote},
	{Name: "socketcall", Handler: handlers.Socketcall, Args: []Arg{Int, Ptr}, Checks: ChecksMore,
		When: append(socketcalls, Condition{{0, ^uint32(0), handlers.SocketcallConnect}},
			Condition{{0, ^uint32(0), handlers.SocketcallSendmsg}}, Condition{{0, ^uint32(0), handlers.SocketcallRecvmsg}},
			Condition{{0, ^uint32(0), handlers.SocketcallRecvmmsg}}, Condition{{0, ^uint32(0), handlers.SocketcallSendmmsg}}),
		WhenUnchecked: socketcalls,
		Note:          "`socket`, `bind`, `connect`, `setsockopt`, `getsockopt`, `sendmsg`, `recvmsg` and their variants, under the same conditions"},
}

const (
	sendNote    = "SCM_CREDENTIALS may name emulated ids"
	receiveNote = "SCM_CREDENTIALS shows the sender's emulated ids, on sockets with SO_PASSCRED"
)

// socketcalls select the calls of socketcall(2) that are answered even with
// --permissions=off.
var socketcalls = []Condition{
	{{0, ^uint32(0), handlers.SocketcallSocket}}, {{0, ^uint32(0), handlers.SocketcallBind}},
	{{0, ^uint32(0), handlers.SocketcallSetsockopt}}, {{0, ^uint32(0), handlers.SocketcallGetsockopt}},
}
