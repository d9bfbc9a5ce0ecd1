package table

import "github.com/rootless-containers/subuidless/internal/kernel"

// ownerRows are the calls that change and show the owners of files.
var ownerRows = []Row{
	// Changing owners.
	{Name: "chown", Handler: kernel.Chown, I386: kernel.Chown16, Args: []Arg{Path, ID, ID}, Note: "the kernel changes it to the mapped id, then the owner is recorded"},
	{Name: "lchown", Handler: kernel.Lchown, I386: kernel.Lchown16, Args: []Arg{Path, ID, ID}, Note: "the kernel changes it to the mapped id, then the owner is recorded"},
	{Name: "fchown", Handler: kernel.Fchown, I386: kernel.Fchown16, Args: []Arg{FD, ID, ID}, Note: "the kernel changes it to the mapped id, then the owner is recorded"},
	{Name: "fchownat", Handler: kernel.Fchownat, Args: []Arg{DirFD, Path, ID, ID, Flags}, Note: "the kernel changes it to the mapped id, then the owner is recorded"},
	{Name: "chown32", Handler: kernel.Chown, Args: []Arg{Path, ID, ID}, Note: "the kernel changes it to the mapped id, then the owner is recorded"},
	{Name: "lchown32", Handler: kernel.Lchown, Args: []Arg{Path, ID, ID}, Note: "the kernel changes it to the mapped id, then the owner is recorded"},
	{Name: "fchown32", Handler: kernel.Fchown, Args: []Arg{FD, ID, ID}, Note: "the kernel changes it to the mapped id, then the owner is recorded"},

	// Reading owners.
	{Name: "stat", Handler: kernel.StatPath(kernel.LayoutNative), I386: kernel.StatPath(kernel.LayoutI386), Args: []Arg{Path, Ptr}, Note: "the kernel's answer, with the recorded owner or device"},
	{Name: "lstat", Handler: kernel.LstatPath(kernel.LayoutNative), I386: kernel.LstatPath(kernel.LayoutI386), Args: []Arg{Path, Ptr}, Note: "the kernel's answer, with the recorded owner or device"},
	{Name: "fstat", Handler: kernel.StatFD(kernel.LayoutNative), I386: kernel.StatFD(kernel.LayoutI386), Args: []Arg{FD, Ptr}, Note: "the kernel's answer, with the recorded owner or device"},
	{Name: "newfstatat", Handler: kernel.StatAt(kernel.LayoutNative), Args: []Arg{DirFD, Path, Ptr, Flags}, Note: "the kernel's answer, with the recorded owner or device"},
	{Name: "statx", Handler: kernel.Statx, Args: []Arg{DirFD, Path, Flags, Flags, Ptr}, Note: "the kernel's answer, with the recorded owner or device"},
	{Name: "stat64", Handler: kernel.StatPath(kernel.LayoutI386Stat64), Args: []Arg{Path, Ptr}, Note: "the kernel's answer, with the recorded owner or device"},
	{Name: "lstat64", Handler: kernel.LstatPath(kernel.LayoutI386Stat64), Args: []Arg{Path, Ptr}, Note: "the kernel's answer, with the recorded owner or device"},
	{Name: "fstat64", Handler: kernel.StatFD(kernel.LayoutI386Stat64), Args: []Arg{FD, Ptr}, Note: "the kernel's answer, with the recorded owner or device"},
	{Name: "fstatat64", Handler: kernel.StatAt(kernel.LayoutI386Stat64), Args: []Arg{DirFD, Path, Ptr, Flags}, Note: "the kernel's answer, with the recorded owner or device"},
	{Name: "oldstat", Handler: kernel.StatPath(kernel.LayoutI386Old), Args: []Arg{Path, Ptr}, Note: "the kernel's answer, with the recorded owner or device"},
	{Name: "oldlstat", Handler: kernel.LstatPath(kernel.LayoutI386Old), Args: []Arg{Path, Ptr}, Note: "the kernel's answer, with the recorded owner or device"},
	{Name: "oldfstat", Handler: kernel.StatFD(kernel.LayoutI386Old), Args: []Arg{FD, Ptr}, Note: "the kernel's answer, with the recorded owner or device"},
}
