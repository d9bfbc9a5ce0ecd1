package table

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/kernel"
)

// socketRows are the calls on sockets that show who is at the other end, and the
// one through which 32-bit programs make them.
var socketRows = []Row{
	{Name: "getsockopt", Handler: kernel.Getsockopt, Args: []Arg{FD, Int, Int, Ptr, Ptr}, When: []ArgTest{
		{2, ^uint32(0), unix.SO_PEERCRED}, {2, ^uint32(0), unix.SO_PEERGROUPS},
	}, Note: "SO_PEERCRED and SO_PEERGROUPS"},
	{Name: "socketcall", Handler: kernel.Socketcall, Args: []Arg{Int, Ptr}, When: []ArgTest{
		{0, ^uint32(0), kernel.SocketcallBind}, {0, ^uint32(0), kernel.SocketcallGetsockopt},
	}, Note: "bind of a unix socket to a path, and SO_PEERCRED and SO_PEERGROUPS"},
}
