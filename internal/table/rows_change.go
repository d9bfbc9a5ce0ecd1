package table

import "github.com/rootless-containers/subuidless/internal/kernel"

// changeRows are the calls that change the mode and the times of files. The kernel
// executes them for root; package perm says what others may.
var changeRows = []Row{
	{Name: "chmod", Handler: kernel.Chmod, Args: []Arg{Path, Flags}},
	{Name: "fchmod", Handler: kernel.Fchmod, Args: []Arg{FD, Flags}},
	{Name: "fchmodat", Handler: kernel.Fchmodat, Args: []Arg{DirFD, Path, Flags}},
	{Name: "fchmodat2", Handler: kernel.Fchmodat2, Args: []Arg{DirFD, Path, Flags, Flags}},

	{Name: "utime", Handler: kernel.Utime(kernel.Utimbuf), I386: kernel.Utime(kernel.Utimbuf32), Args: []Arg{Path, Ptr}},
	{Name: "utimes", Handler: kernel.Utime(kernel.Timeval), I386: kernel.Utime(kernel.Timeval32), Args: []Arg{Path, Ptr}},
	{Name: "futimesat", Handler: kernel.Futimesat(kernel.Timeval), I386: kernel.Futimesat(kernel.Timeval32), Args: []Arg{DirFD, Path, Ptr}},
	{Name: "utimensat", Handler: kernel.Utimensat(kernel.Timespec), I386: kernel.Utimensat(kernel.Timespec32), Args: []Arg{DirFD, Path, Ptr, Flags}},
	{Name: "utimensat_time64", Handler: kernel.Utimensat(kernel.TimespecI386), Args: []Arg{DirFD, Path, Ptr, Flags}},
}
