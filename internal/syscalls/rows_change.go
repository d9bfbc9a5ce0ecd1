package syscalls

import "github.com/rootless-containers/subuidless/internal/handlers"

// changeRows are the calls that change the mode and the times of files. They
// continue for root; for other users, package perm decides.
var changeRows = []Row{
	{Name: "chmod", Handler: handlers.Chmod, Args: []Arg{Path, Flags}, Note: modeNote},
	{Name: "fchmod", Handler: handlers.Fchmod, Args: []Arg{FD, Flags}, Note: modeNote},
	{Name: "fchmodat", Handler: handlers.Fchmodat, Args: []Arg{DirFD, Path, Flags}, Note: modeNote},
	{Name: "fchmodat2", Handler: handlers.Fchmodat2, Args: []Arg{DirFD, Path, Flags, Flags}, Note: modeNote},

	{Name: "utime", Handler: handlers.Utime(handlers.Utimbuf), I386: handlers.Utime(handlers.Utimbuf32), Args: []Arg{Path, Ptr}, Note: timesNote},
	{Name: "utimes", Handler: handlers.Utime(handlers.Timeval), I386: handlers.Utime(handlers.Timeval32), Args: []Arg{Path, Ptr}, Note: timesNote},
	{Name: "futimesat", Handler: handlers.Futimesat(handlers.Timeval), I386: handlers.Futimesat(handlers.Timeval32), Args: []Arg{DirFD, Path, Ptr}, Note: timesNote},
	{Name: "utimensat", Handler: handlers.Utimensat(handlers.Timespec), I386: handlers.Utimensat(handlers.Timespec32), Args: []Arg{DirFD, Path, Ptr, Flags}, Note: timesNote},
	{Name: "utimensat_time64", Handler: handlers.Utimensat(handlers.TimespecI386), Args: []Arg{DirFD, Path, Ptr, Flags}, Note: timesNote},
}

const (
	modeNote  = "continues for root; other users must own the file"
	timesNote = "continues for root; other users must own the file, or be able to write to it if the times become the current time"
)
