package table

import "github.com/rootless-containers/subuidless/internal/kernel"

// xattrRows are the calls on extended attributes: user.rootlesscontainers is
// hidden, and ACLs may name any id.
var xattrRows = []Row{
	{Name: "getxattr", Handler: kernel.Getxattr, Args: []Arg{Path, Name, Ptr, Size}, Note: "hides the record; shows ACLs of any ids; `trusted.*`"},
	{Name: "lgetxattr", Handler: kernel.Lgetxattr, Args: []Arg{Path, Name, Ptr, Size}, Note: "hides the record; shows ACLs of any ids; `trusted.*`"},
	{Name: "fgetxattr", Handler: kernel.Fgetxattr, Args: []Arg{FD, Name, Ptr, Size}, Note: "hides the record; shows ACLs of any ids; `trusted.*`"},
	{Name: "getxattrat", Handler: kernel.Getxattrat, Args: []Arg{DirFD, Path, Flags, Name, Ptr, Size}, Note: "hides the record; shows ACLs of any ids; `trusted.*`"},
	{Name: "setxattr", Handler: kernel.Setxattr, Args: []Arg{Path, Name, Ptr, Size, Flags}, Note: "protects the record; ACLs of any ids; `trusted.*`; who may change an attribute"},
	{Name: "lsetxattr", Handler: kernel.Lsetxattr, Args: []Arg{Path, Name, Ptr, Size, Flags}, Note: "protects the record; ACLs of any ids; `trusted.*`; who may change an attribute"},
	{Name: "fsetxattr", Handler: kernel.Fsetxattr, Args: []Arg{FD, Name, Ptr, Size, Flags}, Note: "protects the record; ACLs of any ids; `trusted.*`; who may change an attribute"},
	{Name: "setxattrat", Handler: kernel.Setxattrat, Args: []Arg{DirFD, Path, Flags, Name, Ptr, Size}, Note: "protects the record; ACLs of any ids; `trusted.*`; who may change an attribute"},
	{Name: "removexattr", Handler: kernel.Removexattr, Args: []Arg{Path, Name}, Note: "protects the record; ACLs of any ids; `trusted.*`; who may change an attribute"},
	{Name: "lremovexattr", Handler: kernel.Lremovexattr, Args: []Arg{Path, Name}, Note: "protects the record; ACLs of any ids; `trusted.*`; who may change an attribute"},
	{Name: "fremovexattr", Handler: kernel.Fremovexattr, Args: []Arg{FD, Name}, Note: "protects the record; ACLs of any ids; `trusted.*`; who may change an attribute"},
	{Name: "removexattrat", Handler: kernel.Removexattrat, Args: []Arg{DirFD, Path, Flags, Name}, Note: "protects the record; ACLs of any ids; `trusted.*`; who may change an attribute"},
	{Name: "listxattr", Handler: kernel.Listxattr, Args: []Arg{Path, Ptr, Size}, Note: "hides the record; shows `trusted.*`"},
	{Name: "llistxattr", Handler: kernel.Llistxattr, Args: []Arg{Path, Ptr, Size}, Note: "hides the record; shows `trusted.*`"},
	{Name: "flistxattr", Handler: kernel.Flistxattr, Args: []Arg{FD, Ptr, Size}, Note: "hides the record; shows `trusted.*`"},
	{Name: "listxattrat", Handler: kernel.Listxattrat, Args: []Arg{DirFD, Path, Flags, Ptr, Size}, Note: "hides the record; shows `trusted.*`"},
}
