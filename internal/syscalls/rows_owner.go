package syscalls

import "github.com/rootless-containers/subuidless/internal/handlers"

// ownerRows are the calls that change and show the owners of files.
var ownerRows = []Row{
	// Changing owners.
	{Name: "chown", Handler: handlers.Chown, I386: handlers.Chown16, Args: []Arg{Path, ID, ID}, Note: "the kernel changes it to the mapped id, then the owner is recorded"},
	{Name: "lchown", Handler: handlers.Lchown, I386: handlers.Lchown16, Args: []Arg{Path, ID, ID}, Note: "the kernel changes it to the mapped id, then the owner is recorded"},
	{Name: "fchown", Handler: handlers.Fchown, I386: handlers.Fchown16, Args: []Arg{FD, ID, ID}, Note: "the kernel changes it to the mapped id, then the owner is recorded"},
	{Name: "fchownat", Handler: handlers.Fchownat, Args: []Arg{DirFD, Path, ID, ID, Flags}, Note: "the kernel changes it to the mapped id, then the owner is recorded"},
	{Name: "chown32", Handler: handlers.Chown, Args: []Arg{Path, ID, ID}, Note: "the kernel changes it to the mapped id, then the owner is recorded"},
	{Name: "lchown32", Handler: handlers.Lchown, Args: []Arg{Path, ID, ID}, Note: "the kernel changes it to the mapped id, then the owner is recorded"},
	{Name: "fchown32", Handler: handlers.Fchown, Args: []Arg{FD, ID, ID}, Note: "the kernel changes it to the mapped id, then the owner is recorded"},

	// Reading owners.
	{Name: "stat", Handler: handlers.StatPath(handlers.LayoutNative), I386: handlers.StatPath(handlers.LayoutI386), Args: []Arg{Path, Ptr}, Note: "the kernel's answer, with the recorded owner or device"},
	{Name: "lstat", Handler: handlers.LstatPath(handlers.LayoutNative), I386: handlers.LstatPath(handlers.LayoutI386), Args: []Arg{Path, Ptr}, Note: "the kernel's answer, with the recorded owner or device"},
	{Name: "fstat", Handler: handlers.StatFD(handlers.LayoutNative), I386: handlers.StatFD(handlers.LayoutI386), Args: []Arg{FD, Ptr}, Note: "the kernel's answer, with the recorded owner or device"},
	{Name: "newfstatat", Handler: handlers.StatAt(handlers.LayoutNative), Args: []Arg{DirFD, Path, Ptr, Flags}, Note: "the kernel's answer, with the recorded owner or device"},
	{Name: "statx", Handler: handlers.Statx, Args: []Arg{DirFD, Path, Flags, Flags, Ptr}, Note: "the kernel's answer, with the recorded owner or device"},
	{Name: "stat64", Handler: handlers.StatPath(handlers.LayoutI386Stat64), Args: []Arg{Path, Ptr}, Note: "the kernel's answer, with the recorded owner or device"},
	{Name: "lstat64", Handler: handlers.LstatPath(handlers.LayoutI386Stat64), Args: []Arg{Path, Ptr}, Note: "the kernel's answer, with the recorded owner or device"},
	{Name: "fstat64", Handler: handlers.StatFD(handlers.LayoutI386Stat64), Args: []Arg{FD, Ptr}, Note: "the kernel's answer, with the recorded owner or device"},
	{Name: "fstatat64", Handler: handlers.StatAt(handlers.LayoutI386Stat64), Args: []Arg{DirFD, Path, Ptr, Flags}, Note: "the kernel's answer, with the recorded owner or device"},
	{Name: "oldstat", Handler: handlers.StatPath(handlers.LayoutI386Old), Args: []Arg{Path, Ptr}, Note: "the kernel's answer, with the recorded owner or device"},
	{Name: "oldlstat", Handler: handlers.LstatPath(handlers.LayoutI386Old), Args: []Arg{Path, Ptr}, Note: "the kernel's answer, with the recorded owner or device"},
	{Name: "oldfstat", Handler: handlers.StatFD(handlers.LayoutI386Old), Args: []Arg{FD, Ptr}, Note: "the kernel's answer, with the recorded owner or device"},
}
