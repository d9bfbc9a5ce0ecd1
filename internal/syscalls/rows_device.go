package syscalls

import "github.com/rootless-containers/subuidless/internal/handlers"

// deviceRows are the calls that make devices, and list them.
var deviceRows = []Row{
	{Name: "mknod", Handler: handlers.Mknod, Args: []Arg{Path, Flags, Flags}, Note: "a placeholder stands for a device"},
	{Name: "mknodat", Handler: handlers.Mknodat, Args: []Arg{DirFD, Path, Flags, Flags}, Note: "a placeholder stands for a device"},
	{Name: "getdents64", Handler: handlers.Getdents64, Args: []Arg{FD, Ptr, Size}, Note: "the type of a device; the kernel's own as long as there is none"},
}
