package syscalls

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/handlers"
)

// descriptorRows are the operations on files and sockets that need a capability
// or the ownership of the file. The kernel executes what is allowed.
var descriptorRows = []Row{
	{Name: "ioctl", Handler: handlers.Ioctl, Args: []Arg{FD, Flags, Ptr}, When: []Condition{
		// As few bits of the second byte, the type of the command, as tell these types
		// (see Row about complements): 0x89 (SIOC*), 0x58 (FS_IOC_FSSETXATTR), 0x66 and
		// 0x76 (FS_IOC_SETFLAGS, FS_IOC_SETVERSION), 0xb7 (NS_GET_OWNER_UID) and 0xff (pidfds), from the
		// frequent 0x54 (terminals), 0x64 (DRM), 0x94 (FICLONE) and 0xae (KVM); and of the first byte
		// that which tells FS_IOC_SETFLAGS from FS_IOC_FIEMAP, with which dpkg looks at each of its lists.
		{{1, 0x0c00, 0x0800}}, {{1, 0xa201, 0x2200}}, {{1, 0xb000, 0xb000}},
		{{1, 0xff80, 0x5480}}, // TUNSETIFF and its relatives, of the same type as terminals
	}, Note: "network interfaces need CAP_NET_ADMIN; the attributes of a file belong to its owner; NS_GET_OWNER_UID and PIDFD_GET_INFO show emulated ids; namespaces of a pidfd as `ptrace`"},
	{Name: "file_setattr", Handler: handlers.FileSetattr, Args: []Arg{DirFD, Path, Ptr, Size, Flags}, Note: "the attributes of a file belong to its owner"},
	{Name: "fcntl", Handler: handlers.Fcntl, Args: []Arg{FD, Int, Flags}, When: fcntlTests, Note: fcntlNote},
	{Name: "fcntl64", Handler: handlers.Fcntl, Args: []Arg{FD, Int, Flags}, When: fcntlTests, Note: fcntlNote},
	{Name: "open_by_handle_at", Handler: handlers.OpenByHandleAt, Args: []Arg{FD, Ptr, Flags}, Note: "needs CAP_DAC_READ_SEARCH"},
}

// fcntlTests select fcntl(F_SETLEASE), and fcntl(F_SETFL) with O_NOATIME. These bits of the
// command tell the first from all others except F_NOTIFY, and the second from all others.
var fcntlTests = []Condition{
	{{1, unix.F_SETLEASE | 0xd, unix.F_SETLEASE}},
	{{2, unix.O_NOATIME, unix.O_NOATIME}, {1, unix.F_SETLEASE | 0x3f, unix.F_SETFL}},
}

const fcntlNote = "a lease needs the ownership of the file, or CAP_LEASE; O_NOATIME needs it, or CAP_FOWNER"
