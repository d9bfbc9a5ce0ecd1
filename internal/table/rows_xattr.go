package table

import "github.com/rootless-containers/subuidless/internal/kernel"

// xattrRows are the calls on extended attributes: user.rootlesscontainers is
// hidden, and ACLs may name any id.
var xattrRows = []Row{
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
}
