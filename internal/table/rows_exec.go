package table

import "github.com/rootless-containers/subuidless/internal/kernel"

// execRows are the calls that execute programs: the kernel does, and the
// supervisor notes what set-id bits and capabilities of the file make of the
// caller.
var execRows = []Row{
	{Name: "execve", Handler: kernel.Execve, Args: []Arg{Path, Ptr, Ptr}, Note: "the kernel's own; set-id files change the emulated ids"},
	{Name: "execveat", Handler: kernel.Execveat, Args: []Arg{DirFD, Path, Ptr, Ptr, Flags}, Note: "the kernel's own; set-id files change the emulated ids"},
}
