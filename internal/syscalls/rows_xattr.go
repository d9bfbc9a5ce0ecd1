package syscalls

import "github.com/rootless-containers/subuidless/internal/handlers"

// xattrRows are the calls on extended attributes: user.rootlesscontainers is
// hidden, and ACLs may name any id.
var xattrRows = []Row{
	{Name: "getxattr", Handler: handlers.Getxattr, Args: []Arg{Path, Name, Ptr, Size}, Note: "hides the record; shows ACLs of any ids; `trusted.*`"},
	{Name: "lgetxattr", Handler: handlers.Lgetxattr, Args: []Arg{Path, Name, Ptr, Size}, Note: "hides the record; shows ACLs of any ids; `trusted.*`"},
	{Name: "fgetxattr", Handler: handlers.Fgetxattr, Args: []Arg{FD, Name, Ptr, Size}, Note: "hides the record; shows ACLs of any ids; `trusted.*`"},
	{Name: "getxattrat", Handler: handlers.Getxattrat, Args: []Arg{DirFD, Path, Flags, Name, Ptr, Size}, Note: "hides the record; shows ACLs of any ids; `trusted.*`"},
	{Name: "setxattr", Handler: handlers.Setxattr, Args: []Arg{Path, Name, Ptr, Size, Flags}, Note: "protects the record; ACLs of any ids; `trusted.*`; who may change an attribute"},
	{Name: "lsetxattr", Handler: handlers.Lsetxattr, Args: []Arg{Path, Name, Ptr, Size, Flags}, Note: "protects the record; ACLs of any ids; `trusted.*`; who may change an attribute"},
	{Name: "fsetxattr", Handler: handlers.Fsetxattr, Args: []Arg{FD, Name, Ptr, Size, Flags}, Note: "protects the record; ACLs of any ids; `trusted.*`; who may change an attribute"},
	{Name: "setxattrat", Handler: handlers.Setxattrat, Args: []Arg{DirFD, Path, Flags, Name, Ptr, Size}, Note: "protects the record; ACLs of any ids; `trusted.*`; who may change an attribute"},
	{Name: "removexattr", Handler: handlers.Removexattr, Args: []Arg{Path, Name}, Note: "protects the record; ACLs of any ids; `trusted.*`; who may change an attribute"},
	{Name: "lremovexattr", Handler: handlers.Lremovexattr, Args: []Arg{Path, Name}, Note: "protects the record; ACLs of any ids; `trusted.*`; who may change an attribute"},
	{Name: "fremovexattr", Handler: handlers.Fremovexattr, Args: []Arg{FD, Name}, Note: "protects the record; ACLs of any ids; `trusted.*`; who may change an attribute"},
	{Name: "removexattrat", Handler: handlers.Removexattrat, Args: []Arg{DirFD, Path, Flags, Name}, Note: "protects the record; ACLs of any ids; `trusted.*`; who may change an attribute"},
	{Name: "listxattr", Handler: handlers.Listxattr, Args: []Arg{Path, Ptr, Size}, Note: "hides the record; shows `trusted.*`"},
	{Name: "llistxattr", Handler: handlers.Llistxattr, Args: []Arg{Path, Ptr, Size}, Note: "hides the record; shows `trusted.*`"},
	{Name: "flistxattr", Handler: handlers.Flistxattr, Args: []Arg{FD, Ptr, Size}, Note: "hides the record; shows `trusted.*`"},
	{Name: "listxattrat", Handler: handlers.Listxattrat, Args: []Arg{DirFD, Path, Flags, Ptr, Size}, Note: "hides the record; shows `trusted.*`"},
}
