package table

import "github.com/rootless-containers/subuidless/internal/kernel"

// nameRows are the calls that remove and move names, and make further ones.
var nameRows = []Row{
	{Name: "unlink", Handler: kernel.Unlink, Args: []Arg{Path}, Checks: ChecksOnly, Note: "the kernel's own if the caller may write to the directory, and its sticky bit allows it"},
	{Name: "unlinkat", Handler: kernel.Unlinkat, Args: []Arg{DirFD, Path, Flags}, Checks: ChecksOnly, Note: "the kernel's own if the caller may write to the directory, and its sticky bit allows it"},
	{Name: "rmdir", Handler: kernel.Rmdir, Args: []Arg{Path}, Checks: ChecksOnly, Note: "the kernel's own if the caller may write to the directory, and its sticky bit allows it"},
	{Name: "rename", Handler: kernel.Rename, Args: []Arg{Path, Path}, Checks: ChecksOnly, Note: "the kernel's own if the caller may write to the directory, and its sticky bit allows it"},
	{Name: "renameat", Handler: kernel.Renameat, Args: []Arg{DirFD, Path, DirFD, Path}, Checks: ChecksOnly, Note: "the kernel's own if the caller may write to the directory, and its sticky bit allows it"},
	{Name: "renameat2", Handler: kernel.Renameat2, Args: []Arg{DirFD, Path, DirFD, Path, Flags}, Checks: ChecksOnly, Note: "the kernel's own if the caller may write to the directory, and its sticky bit allows it"},
	{Name: "link", Handler: kernel.Link, Args: []Arg{Path, Path}, Checks: ChecksOnly, Note: "the kernel's own if the caller may write to the directory, and protected_hardlinks allows it"},
	{Name: "linkat", Handler: kernel.Linkat, Args: []Arg{DirFD, Path, DirFD, Path, Flags}, Checks: ChecksOnly, Note: "the kernel's own if the caller may write to the directory, and protected_hardlinks allows it"},
}
