package syscalls

import "github.com/rootless-containers/subuidless/internal/handlers"

// nameRows are the calls that remove, rename and add directory entries.
var nameRows = []Row{
	{Name: "unlink", Handler: handlers.Unlink, Args: []Arg{Path}, Checks: ChecksOnly, Note: removeNote},
	{Name: "unlinkat", Handler: handlers.Unlinkat, Args: []Arg{DirFD, Path, Flags}, Checks: ChecksOnly, Note: removeNote},
	{Name: "rmdir", Handler: handlers.Rmdir, Args: []Arg{Path}, Checks: ChecksOnly, Note: removeNote},
	{Name: "rename", Handler: handlers.Rename, Args: []Arg{Path, Path}, Checks: ChecksOnly, Note: removeNote},
	{Name: "renameat", Handler: handlers.Renameat, Args: []Arg{DirFD, Path, DirFD, Path}, Checks: ChecksOnly, Note: removeNote},
	{Name: "renameat2", Handler: handlers.Renameat2, Args: []Arg{DirFD, Path, DirFD, Path, Flags}, Checks: ChecksOnly, Note: removeNote},
	{Name: "link", Handler: handlers.Link, Args: []Arg{Path, Path}, Checks: ChecksOnly, Note: linkNote},
	{Name: "linkat", Handler: handlers.Linkat, Args: []Arg{DirFD, Path, DirFD, Path, Flags}, Checks: ChecksOnly, Note: linkNote},
}

const (
	removeNote = "continues if the caller may write to the directory and its sticky bit permits it"
	linkNote   = "continues if the caller may write to the directory and `protected_hardlinks` permits it"
)
