package table

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/kernel"
)

// socketRows are the calls that tell who is at the other end of a socket.
var socketRows = []Row{
	{Name: "getsockopt", Handler: kernel.Getsockopt, Args: []Arg{FD, Int, Int, Ptr, Ptr}, When: []ArgTest{
		{2, ^uint32(0), unix.SO_PEERCRED}, {2, ^uint32(0), unix.SO_PEERGROUPS},
	}, Note: "the peer's emulated ids"},
	{Name: "socketcall", Handler: kernel.Socketcall, Args: []Arg{Int, Ptr}, Checks: ChecksMore, When: []ArgTest{
		{0, ^uint32(0), kernel.SocketcallBind}, {0, ^uint32(0), kernel.SocketcallGetsockopt}, {0, ^uint32(0), kernel.SocketcallConnect},
	}, Lean: []ArgTest{
		{0, ^uint32(0), kernel.SocketcallBind}, {0, ^uint32(0), kernel.SocketcallGetsockopt},
	}, Note: "bind, connect and getsockopt, as far as these are notified"},
}
