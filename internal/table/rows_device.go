package table

import "github.com/rootless-containers/subuidless/internal/kernel"

// deviceRows are the calls that make devices.
var deviceRows = []Row{
	{Name: "mknod", Handler: kernel.Mknod, Args: []Arg{Path, Flags, Flags}, Note: "a placeholder stands for a device"},
	{Name: "mknodat", Handler: kernel.Mknodat, Args: []Arg{DirFD, Path, Flags, Flags}, Note: "a placeholder stands for a device"},
}
