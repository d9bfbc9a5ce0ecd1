package table

import "github.com/rootless-containers/subuidless/internal/kernel"

// ownerRows are the calls that change and show the owners of files.
var ownerRows = []Row{
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
}
