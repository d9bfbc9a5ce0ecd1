package table

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/kernel"
)

// descriptorRows are the commands to files and sockets that are open, of which not
// everybody may give each. The kernel executes them, unless they are refused.
var descriptorRows = []Row{
	{Name: "ioctl", Handler: kernel.Ioctl, Args: []Arg{FD, Flags, Ptr}, When: []ArgTest{
		{1, kernel.SocketCommandsMask, kernel.SocketCommands},
		{1, ^uint32(0), unix.FS_IOC_SETFLAGS}, {1, ^uint32(0), kernel.SetFlags32}, {1, ^uint32(0), kernel.SetAttributes},
		{1, ^uint32(0), kernel.SetVersion}, {1, ^uint32(0), kernel.SetVersion32},
	}, Note: "CAP_NET_ADMIN for network interfaces; attributes of files are their owner's"},
	{Name: "fcntl", Handler: kernel.Fcntl, Args: []Arg{FD, Int, Int}, When: setLease, Note: "a lease: the file's owner, or CAP_LEASE"},
	{Name: "fcntl64", Handler: kernel.Fcntl, Args: []Arg{FD, Int, Int}, When: setLease, Note: "a lease: the file's owner, or CAP_LEASE"},
	{Name: "open_by_handle_at", Handler: kernel.OpenByHandleAt, Args: []Arg{FD, Ptr, Flags}, Note: "CAP_DAC_READ_SEARCH"},
}

var setLease = []ArgTest{{1, ^uint32(0), unix.F_SETLEASE}}
