package syscalls

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/handlers"
)

// descriptorRows are the commands to files and sockets that are open, of which not
// everybody may give each. The kernel executes them, unless they are refused.
var descriptorRows = []Row{
	{Name: "ioctl", Handler: handlers.Ioctl, Args: []Arg{FD, Flags, Ptr}, When: []ArgTest{
		// Few bits of the second byte, because package bundle needs the complements: of 0x89
		// (SIOC*) and 0x58 (FS_IOC_FSSETXATTR), of 0x66 and 0x76 (FS_IOC_SETFLAGS, FS_IOC_SETVERSION);
		// not of 0x54 (terminals), 0x64 (DRM) and 0xae (KVM).
		{1, 0x0c00, 0x0800}, {1, 0xa200, 0x2200},
	}, Note: "CAP_NET_ADMIN for network interfaces; attributes of files are their owner's"},
	{Name: "fcntl", Handler: handlers.Fcntl, Args: []Arg{FD, Int, Int}, When: setLease, Note: "a lease: the file's owner, or CAP_LEASE"},
	{Name: "fcntl64", Handler: handlers.Fcntl, Args: []Arg{FD, Int, Int}, When: setLease, Note: "a lease: the file's owner, or CAP_LEASE"},
	{Name: "open_by_handle_at", Handler: handlers.OpenByHandleAt, Args: []Arg{FD, Ptr, Flags}, Note: "CAP_DAC_READ_SEARCH"},
}

var setLease = []ArgTest{{1, ^uint32(0), unix.F_SETLEASE}}
