package syscalls

import "github.com/rootless-containers/subuidless/internal/handlers"

// ownerRows are the calls that change and show the owners of files.
var ownerRows = []Row{
	// Changing owners.
	{Name: "chown", Handler: handlers.Chown, I386: handlers.Chown16, Args: []Arg{Path, ID, ID}, Note: chownNote},
	{Name: "lchown", Handler: handlers.Lchown, I386: handlers.Lchown16, Args: []Arg{Path, ID, ID}, Note: chownNote},
	{Name: "fchown", Handler: handlers.Fchown, I386: handlers.Fchown16, Args: []Arg{FD, ID, ID}, Note: chownNote},
	{Name: "fchownat", Handler: handlers.Fchownat, Args: []Arg{DirFD, Path, ID, ID, Flags}, Note: chownNote},
	{Name: "chown32", Handler: handlers.Chown, Args: []Arg{Path, ID, ID}, Note: chownNote},
	{Name: "lchown32", Handler: handlers.Lchown, Args: []Arg{Path, ID, ID}, Note: chownNote},
	{Name: "fchown32", Handler: handlers.Fchown, Args: []Arg{FD, ID, ID}, Note: chownNote},

	// Reading owners.
	{Name: "stat", Handler: handlers.StatPath(handlers.LayoutNative), I386: handlers.StatPath(handlers.LayoutI386), Args: []Arg{Path, Ptr}, Note: statNote},
	{Name: "lstat", Handler: handlers.LstatPath(handlers.LayoutNative), I386: handlers.LstatPath(handlers.LayoutI386), Args: []Arg{Path, Ptr}, Note: statNote},
	{Name: "fstat", Handler: handlers.StatFD(handlers.LayoutNative), I386: handlers.StatFD(handlers.LayoutI386), Args: []Arg{FD, Ptr}, Note: statNote},
	{Name: "newfstatat", Handler: handlers.StatAt(handlers.LayoutNative), Args: []Arg{DirFD, Path, Ptr, Flags}, Note: statNote},
	{Name: "statx", Handler: handlers.Statx, Args: []Arg{DirFD, Path, Flags, Flags, Ptr}, Note: statNote},
	{Name: "stat64", Handler: handlers.StatPath(handlers.LayoutI386Stat64), Args: []Arg{Path, Ptr}, Note: statNote},
	{Name: "lstat64", Handler: handlers.LstatPath(handlers.LayoutI386Stat64), Args: []Arg{Path, Ptr}, Note: statNote},
	{Name: "fstat64", Handler: handlers.StatFD(handlers.LayoutI386Stat64), Args: []Arg{FD, Ptr}, Note: statNote},
	{Name: "fstatat64", Handler: handlers.StatAt(handlers.LayoutI386Stat64), Args: []Arg{DirFD, Path, Ptr, Flags}, Note: statNote},
	{Name: "oldstat", Handler: handlers.StatPath(handlers.LayoutI386Old), Args: []Arg{Path, Ptr}, Note: statNote},
	{Name: "oldlstat", Handler: handlers.LstatPath(handlers.LayoutI386Old), Args: []Arg{Path, Ptr}, Note: statNote},
	{Name: "oldfstat", Handler: handlers.StatFD(handlers.LayoutI386Old), Args: []Arg{FD, Ptr}, Note: statNote},
}

const (
	chownNote = "records the owner; the kernel changes it to the mapped id, which also clears set-id bits"
	statNote  = "the kernel's result, with the recorded owner or device"
)
