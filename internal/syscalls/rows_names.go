package syscalls

import "github.com/rootless-containers/subuidless/internal/handlers"

// nameRows are the calls that remove and move names, and make further ones.
var nameRows = []Row{
	{Name: "unlink", Handler: handlers.Unlink, Args: []Arg{Path}, Checks: ChecksOnly, Note: "the kernel's own if the caller may write to the directory, and its sticky bit allows it"},
	{Name: "unlinkat", Handler: handlers.Unlinkat, Args: []Arg{DirFD, Path, Flags}, Checks: ChecksOnly, Note: "the kernel's own if the caller may write to the directory, and its sticky bit allows it"},
	{Name: "rmdir", Handler: handlers.Rmdir, Args: []Arg{Path}, Checks: ChecksOnly, Note: "the kernel's own if the caller may write to the directory, and its sticky bit allows it"},
	{Name: "rename", Handler: handlers.Rename, Args: []Arg{Path, Path}, Checks: ChecksOnly, Note: "the kernel's own if the caller may write to the directory, and its sticky bit allows it"},
	{Name: "renameat", Handler: handlers.Renameat, Args: []Arg{DirFD, Path, DirFD, Path}, Checks: ChecksOnly, Note: "the kernel's own if the caller may write to the directory, and its sticky bit allows it"},
	{Name: "renameat2", Handler: handlers.Renameat2, Args: []Arg{DirFD, Path, DirFD, Path, Flags}, Checks: ChecksOnly, Note: "the kernel's own if the caller may write to the directory, and its sticky bit allows it"},
	{Name: "link", Handler: handlers.Link, Args: []Arg{Path, Path}, Checks: ChecksOnly, Note: "the kernel's own if the caller may write to the directory, and protected_hardlinks allows it"},
	{Name: "linkat", Handler: handlers.Linkat, Args: []Arg{DirFD, Path, DirFD, Path, Flags}, Checks: ChecksOnly, Note: "the kernel's own if the caller may write to the directory, and protected_hardlinks allows it"},
}
