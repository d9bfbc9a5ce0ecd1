package syscalls

import "github.com/rootless-containers/subuidless/internal/handlers"

// execRows are the calls that execute programs. The kernel executes them; the
// supervisor computes the identity that results from set-user-ID and set-group-ID
// bits and file capabilities.
var execRows = []Row{
	{Name: "execve", Handler: handlers.Execve, Args: []Arg{Path, Ptr, Ptr}, Note: execNote},
	{Name: "execveat", Handler: handlers.Execveat, Args: []Arg{DirFD, Path, Ptr, Ptr, Flags}, Note: execNote},
}

const execNote = "continues; set-user-ID and set-group-ID programs and file capabilities change the identity"
