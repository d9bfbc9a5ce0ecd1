package table

import "github.com/rootless-containers/subuidless/internal/kernel"

// deviceRows are the calls that make devices, and list them.
var deviceRows = []Row{
	{Name: "mknod", Handler: kernel.Mknod, Args: []Arg{Path, Flags, Flags}, Note: "a placeholder stands for a device"},
	{Name: "mknodat", Handler: kernel.Mknodat, Args: []Arg{DirFD, Path, Flags, Flags}, Note: "a placeholder stands for a device"},
	{Name: "getdents64", Handler: kernel.Getdents64, Args: []Arg{FD, Ptr, Size}, Note: "the type of a device; the kernel's own as long as there is none"},
}
