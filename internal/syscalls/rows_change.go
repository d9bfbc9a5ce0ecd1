package syscalls

import "github.com/rootless-containers/subuidless/internal/handlers"

// changeRows are the calls that change the mode and the times of files. The kernel
// executes them for root; package perm says what others may.
var changeRows = []Row{
	{Name: "chmod", Handler: handlers.Chmod, Args: []Arg{Path, Flags}, Note: "the kernel's own for root; others need to own the file"},
	{Name: "fchmod", Handler: handlers.Fchmod, Args: []Arg{FD, Flags}, Note: "the kernel's own for root; others need to own the file"},
	{Name: "fchmodat", Handler: handlers.Fchmodat, Args: []Arg{DirFD, Path, Flags}, Note: "the kernel's own for root; others need to own the file"},
	{Name: "fchmodat2", Handler: handlers.Fchmodat2, Args: []Arg{DirFD, Path, Flags, Flags}, Note: "the kernel's own for root; others need to own the file"},

	{Name: "utime", Handler: handlers.Utime(handlers.Utimbuf), I386: handlers.Utime(handlers.Utimbuf32), Args: []Arg{Path, Ptr}, Note: "the kernel's own for root; others need to own the file, or to write to it"},
	{Name: "utimes", Handler: handlers.Utime(handlers.Timeval), I386: handlers.Utime(handlers.Timeval32), Args: []Arg{Path, Ptr}, Note: "the kernel's own for root; others need to own the file, or to write to it"},
	{Name: "futimesat", Handler: handlers.Futimesat(handlers.Timeval), I386: handlers.Futimesat(handlers.Timeval32), Args: []Arg{DirFD, Path, Ptr}, Note: "the kernel's own for root; others need to own the file, or to write to it"},
	{Name: "utimensat", Handler: handlers.Utimensat(handlers.Timespec), I386: handlers.Utimensat(handlers.Timespec32), Args: []Arg{DirFD, Path, Ptr, Flags}, Note: "the kernel's own for root; others need to own the file, or to write to it"},
	{Name: "utimensat_time64", Handler: handlers.Utimensat(handlers.TimespecI386), Args: []Arg{DirFD, Path, Ptr, Flags}, Note: "the kernel's own for root; others need to own the file, or to write to it"},
}
