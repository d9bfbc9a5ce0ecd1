package syscalls

import "github.com/rootless-containers/subuidless/internal/handlers"

// execRows are the calls that execute programs: the kernel does, and the
// supervisor notes what set-id bits and capabilities of the file make of the
// caller.
var execRows = []Row{
	{Name: "execve", Handler: handlers.Execve, Args: []Arg{Path, Ptr, Ptr}, Note: "the kernel's own; set-id files change the emulated ids"},
	{Name: "execveat", Handler: handlers.Execveat, Args: []Arg{DirFD, Path, Ptr, Ptr, Flags}, Note: "the kernel's own; set-id files change the emulated ids"},
}
