// Package supervisor answers the notifications of containers. Each container
// has two processes: a worker inside its user namespace, which answers, and a
// keeper outside of it, which holds duplicates of the listeners and the journal
// of what is in flight, and starts a new worker if the old one dies.
package supervisor

import (
	"errors"
	"os"

	"github.com/rootless-containers/subuidless/internal/identity"
)

// The names (argv[0]) of the supervisor's processes.
const (
	KeeperName = "subuidless-keeper"
	WorkerName = "subuidless-worker"
)

// Config says how a container is to be supervised.
type Config struct {
	// ID names the container, for messages and for Join.
	ID string
	// SocketDir is the directory in which the keeper listens for further
	// listeners of the same container (see Join). Empty: it does not.
	SocketDir string
	// Trace is the absolute path of a file to append one line per
	// notification to. Empty: no trace.
	Trace string
	// Sidecar is the absolute path of the directory for owners of files that
	// cannot carry user.* extended attributes. Empty: the user's default.
	Sidecar string
	// NoPermissions lets everybody in the container read, write and search every file
	// of its root. The filter may then be that of syscalls.WithoutPermissions.
	NoPermissions bool
}

// Process is a process that a container's supervisor is to answer, with those
// that it will start.
type Process struct {
	// Listener is its seccomp listener. The caller keeps it.
	Listener *os.File
	// Pid is the process as the caller sees it. In Join it may be 0.
	Pid int
	// User is who its program is to be; nil: who the runtime becomes by itself.
	User *identity.User
	// Running tells that its program has been executed already. Unless User is
	// nil, the process has got identity.Mark before.
	Running bool
}

// ErrNoKeeper says that no keeper of the container listens in Config.SocketDir.
var ErrNoKeeper = errors.New("no supervisor of this container is running")
