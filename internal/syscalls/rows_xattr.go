package syscalls

import "github.com/rootless-containers/subuidless/internal/handlers"

// xattrRows are the calls on extended attributes. They hide the attribute with the
// record, user.rootlesscontainers, and let ACLs name any id.
var xattrRows = []Row{
	{Name: "getxattr", Handler: handlers.Getxattr, Args: []Arg{Path, Name, Ptr, Size}, Note: getNote},
	{Name: "lgetxattr", Handler: handlers.Lgetxattr, Args: []Arg{Path, Name, Ptr, Size}, Note: getNote},
	{Name: "fgetxattr", Handler: handlers.Fgetxattr, Args: []Arg{FD, Name, Ptr, Size}, Note: getNote},
	{Name: "getxattrat", Handler: handlers.Getxattrat, Args: []Arg{DirFD, Path, Flags, Name, Ptr, Size}, Note: getNote},
	{Name: "setxattr", Handler: handlers.Setxattr, Serve: handlers.ServeSetxattr, Args: []Arg{Path, Name, Ptr, Size, Flags}, Note: setNote},
	{Name: "lsetxattr", Handler: handlers.Lsetxattr, Args: []Arg{Path, Name, Ptr, Size, Flags}, Note: setNote},
	{Name: "fsetxattr", Handler: handlers.Fsetxattr, Args: []Arg{FD, Name, Ptr, Size, Flags}, Note: setNote},
	{Name: "setxattrat", Handler: handlers.Setxattrat, Args: []Arg{DirFD, Path, Flags, Name, Ptr, Size}, Note: setNote},
	{Name: "removexattr", Handler: handlers.Removexattr, Serve: handlers.ServeRemovexattr, Args: []Arg{Path, Name}, Note: setNote},
	{Name: "lremovexattr", Handler: handlers.Lremovexattr, Args: []Arg{Path, Name}, Note: setNote},
	{Name: "fremovexattr", Handler: handlers.Fremovexattr, Args: []Arg{FD, Name}, Note: setNote},
	{Name: "removexattrat", Handler: handlers.Removexattrat, Args: []Arg{DirFD, Path, Flags, Name}, Note: setNote},
	{Name: "listxattr", Handler: handlers.Listxattr, Args: []Arg{Path, Ptr, Size}, Note: listNote},
	{Name: "llistxattr", Handler: handlers.Llistxattr, Args: []Arg{Path, Ptr, Size}, Note: listNote},
	{Name: "flistxattr", Handler: handlers.Flistxattr, Args: []Arg{FD, Ptr, Size}, Note: listNote},
	{Name: "listxattrat", Handler: handlers.Listxattrat, Args: []Arg{DirFD, Path, Flags, Ptr, Size}, Note: listNote},
}

const (
	getNote  = "hides the record; ACLs with any ids; `trusted.*` and `security.*`"
	setNote  = "protects the record; ACLs with any ids; `trusted.*` and `security.*`; checks the ownership of the file"
	listNote = "hides the record; lists `trusted.*` and `security.*`"
)
