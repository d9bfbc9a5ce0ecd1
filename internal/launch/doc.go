// Package launch runs commands under supervision without an OCI runtime.
//
// Exec runs a command on the host's own files:
//
//	front (Exec) -> stage -> command
//
// Run runs a command in a container:
//
//	front (Run) -> init, pid 1 of the container -> stage -> command
//
// The front is the process in the user's shell. It prepares a supervisor, starts the other
// processes, forwards signals, and returns the command's exit status. The stage is this
// program again, in the new user namespace: it installs the seccomp filter on itself and,
// once the supervisor has its listener, executes the command. The filter does not apply to
// the front and the init.
//
// A command that joins a session has a child of a fork, in place of the stage: see userns.Gate.
package launch
