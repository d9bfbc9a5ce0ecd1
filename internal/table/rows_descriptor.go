package table

import (
	"github.com/rootless-containers/subuidless/internal/kernel"
)

// descriptorRows are the commands to files and sockets that are open, of which not
// everybody may give each. The kernel executes them, unless they are refused.
var descriptorRows = []Row{
	{Name: "ioctl", Handler: kernel.Ioctl, Args: []Arg{FD, Flags, Ptr}, When: []ArgTest{
		{1, kernel.SocketCommandsMask, kernel.SocketCommands},
	}, Note: "CAP_NET_ADMIN for network interfaces"},
}
