package table

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/kernel"
)

// Rows is the table. A name that exists only on i386 is marked by its suffix
// (16, 32, 64, old); where a name means another layout there, the row has an
// I386 handler.
var Rows = []Row{
	// Changing owners.
	{Name: "chown", Handler: kernel.Chown, I386: kernel.Chown16, Args: []Arg{Path, ID, ID}},
	{Name: "lchown", Handler: kernel.Lchown, I386: kernel.Lchown16, Args: []Arg{Path, ID, ID}},
	{Name: "fchown", Handler: kernel.Fchown, I386: kernel.Fchown16, Args: []Arg{FD, ID, ID}},
	{Name: "fchownat", Handler: kernel.Fchownat, Args: []Arg{DirFD, Path, ID, ID, Flags}},
	{Name: "chown32", Handler: kernel.Chown, Args: []Arg{Path, ID, ID}},
	{Name: "lchown32", Handler: kernel.Lchown, Args: []Arg{Path, ID, ID}},
	{Name: "fchown32", Handler: kernel.Fchown, Args: []Arg{FD, ID, ID}},

	// Reading owners.
	{Name: "stat", Handler: kernel.StatPath(kernel.LayoutNative), I386: kernel.StatPath(kernel.LayoutI386), Args: []Arg{Path, Ptr}},
	{Name: "lstat", Handler: kernel.LstatPath(kernel.LayoutNative), I386: kernel.LstatPath(kernel.LayoutI386), Args: []Arg{Path, Ptr}},
	{Name: "fstat", Handler: kernel.StatFD(kernel.LayoutNative), I386: kernel.StatFD(kernel.LayoutI386), Args: []Arg{FD, Ptr}},
	{Name: "newfstatat", Handler: kernel.StatAt(kernel.LayoutNative), Args: []Arg{DirFD, Path, Ptr, Flags}},
	{Name: "statx", Handler: kernel.Statx, Args: []Arg{DirFD, Path, Flags, Flags, Ptr}},
	{Name: "stat64", Handler: kernel.StatPath(kernel.LayoutI386Stat64), Args: []Arg{Path, Ptr}},
	{Name: "lstat64", Handler: kernel.LstatPath(kernel.LayoutI386Stat64), Args: []Arg{Path, Ptr}},
	{Name: "fstat64", Handler: kernel.StatFD(kernel.LayoutI386Stat64), Args: []Arg{FD, Ptr}},
	{Name: "fstatat64", Handler: kernel.StatAt(kernel.LayoutI386Stat64), Args: []Arg{DirFD, Path, Ptr, Flags}},
	{Name: "oldstat", Handler: kernel.StatPath(kernel.LayoutI386Old), Args: []Arg{Path, Ptr}},
	{Name: "oldlstat", Handler: kernel.LstatPath(kernel.LayoutI386Old), Args: []Arg{Path, Ptr}},
	{Name: "oldfstat", Handler: kernel.StatFD(kernel.LayoutI386Old), Args: []Arg{FD, Ptr}},

	// Hiding user.rootlesscontainers.
	{Name: "getxattr", Handler: kernel.Getxattr, Args: []Arg{Path, Name, Ptr, Size}},
	{Name: "lgetxattr", Handler: kernel.Lgetxattr, Args: []Arg{Path, Name, Ptr, Size}},
	{Name: "fgetxattr", Handler: kernel.Fgetxattr, Args: []Arg{FD, Name, Ptr, Size}},
	{Name: "getxattrat", Handler: kernel.Getxattrat, Args: []Arg{DirFD, Path, Flags, Name, Ptr, Size}},
	{Name: "setxattr", Handler: kernel.Setxattr, Args: []Arg{Path, Name, Ptr, Size, Flags}},
	{Name: "lsetxattr", Handler: kernel.Lsetxattr, Args: []Arg{Path, Name, Ptr, Size, Flags}},
	{Name: "fsetxattr", Handler: kernel.Fsetxattr, Args: []Arg{FD, Name, Ptr, Size, Flags}},
	{Name: "setxattrat", Handler: kernel.Setxattrat, Args: []Arg{DirFD, Path, Flags, Name, Ptr, Size}},
	{Name: "removexattr", Handler: kernel.Removexattr, Args: []Arg{Path, Name}},
	{Name: "lremovexattr", Handler: kernel.Lremovexattr, Args: []Arg{Path, Name}},
	{Name: "fremovexattr", Handler: kernel.Fremovexattr, Args: []Arg{FD, Name}},
	{Name: "removexattrat", Handler: kernel.Removexattrat, Args: []Arg{DirFD, Path, Flags, Name}},
	{Name: "listxattr", Handler: kernel.Listxattr, Args: []Arg{Path, Ptr, Size}},
	{Name: "llistxattr", Handler: kernel.Llistxattr, Args: []Arg{Path, Ptr, Size}},
	{Name: "flistxattr", Handler: kernel.Flistxattr, Args: []Arg{FD, Ptr, Size}},
	{Name: "listxattrat", Handler: kernel.Listxattrat, Args: []Arg{DirFD, Path, Flags, Ptr, Size}},

	// Seeing another file tree. The kernel executes these; the supervisor
	// only learns that paths no longer mean the same to every task.
	{Name: "chroot", Handler: kernel.NewRoot, Args: []Arg{Path}, Note: "the kernel's own; watched"},
	{Name: "pivot_root", Handler: kernel.NewRoot, Args: []Arg{Path, Path}, Note: "the kernel's own; watched"},
	{Name: "setns", Handler: kernel.NewRoot, Args: []Arg{FD, Flags}, Note: "the kernel's own; watched"},
	{Name: "unshare", Handler: kernel.NewRoot, Args: []Arg{Flags}, When: []ArgTest{{0, unix.CLONE_NEWNS, unix.CLONE_NEWNS}}, Note: "the kernel's own; watched for CLONE_NEWNS"},
	{Name: "clone", Handler: kernel.NewRoot, Args: []Arg{Flags, Ptr, Ptr, Ptr, Ptr}, When: []ArgTest{{0, unix.CLONE_NEWNS, unix.CLONE_NEWNS}}, Note: "the kernel's own; watched for CLONE_NEWNS"},
	{Name: "clone3", Handler: kernel.Clone3, Args: []Arg{Ptr, Size}, Note: "the kernel's own; watched for CLONE_NEWNS"},

	// Ways past the filter.
	{Name: "io_uring_setup", Support: Refused, Note: "a ring's operations bypass seccomp; programs fall back to ordinary calls"},

	// In the peers' lists, and right as the kernel does them: the one real
	// owner of every file is the container's root.
	{Name: "chmod", Support: Native},
	{Name: "fchmod", Support: Native},
	{Name: "fchmodat", Support: Native},
	{Name: "statfs", Support: Native, Note: "has no owner"},
	{Name: "statfs64", Support: Native, Note: "has no owner"},
	{Name: "sethostname", Support: Native, Note: "allowed in the container's own UTS namespace"},
	{Name: "setdomainname", Support: Native, Note: "allowed in the container's own UTS namespace"},

	// In the peers' lists, and not here yet.
	{Name: "capset", Support: Planned},
	{Name: "execve", Support: Planned, Note: "set-id programs"},
	{Name: "mknod", Support: Planned, Note: "FIFOs and sockets are native; device nodes are not there yet"},
	{Name: "mknodat", Support: Planned, Note: "FIFOs and sockets are native; device nodes are not there yet"},
	{Name: "getuid", Support: Planned},
	{Name: "getuid32", Support: Planned},
	{Name: "geteuid", Support: Planned},
	{Name: "geteuid32", Support: Planned},
	{Name: "getgid", Support: Planned},
	{Name: "getgid32", Support: Planned},
	{Name: "getegid", Support: Planned},
	{Name: "getegid32", Support: Planned},
	{Name: "getresuid", Support: Planned},
	{Name: "getresuid32", Support: Planned},
	{Name: "getresgid", Support: Planned},
	{Name: "getresgid32", Support: Planned},
	{Name: "getgroups", Support: Planned},
	{Name: "getgroups32", Support: Planned},
	{Name: "setuid", Support: Planned},
	{Name: "setuid32", Support: Planned},
	{Name: "setgid", Support: Planned},
	{Name: "setgid32", Support: Planned},
	{Name: "setreuid", Support: Planned},
	{Name: "setreuid32", Support: Planned},
	{Name: "setregid", Support: Planned},
	{Name: "setregid32", Support: Planned},
	{Name: "setresuid", Support: Planned},
	{Name: "setresuid32", Support: Planned},
	{Name: "setresgid", Support: Planned},
	{Name: "setresgid32", Support: Planned},
	{Name: "setfsuid", Support: Planned},
	{Name: "setfsuid32", Support: Planned},
	{Name: "setfsgid", Support: Planned},
	{Name: "setfsgid32", Support: Planned},
	{Name: "setgroups", Support: Planned},
	{Name: "setgroups32", Support: Planned},
}
