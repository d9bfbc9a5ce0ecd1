package syscalls

import "github.com/rootless-containers/subuidless/internal/handlers"

// deviceRows are the calls that create device nodes, or show the types of directory
// entries.
var deviceRows = []Row{
	{Name: "mknod", Handler: handlers.Mknod, Args: []Arg{Path, Flags, Flags}, Note: mknodNote},
	{Name: "mknodat", Handler: handlers.Mknodat, Args: []Arg{DirFD, Path, Flags, Flags}, Note: mknodNote},
	{Name: "getdents64", Handler: handlers.Getdents64, Args: []Arg{FD, Ptr, Size}, Note: "shows placeholders as devices; continues while the container has none"},
}

const mknodNote = "a placeholder stands for a device; the new inode belongs to its creator"
