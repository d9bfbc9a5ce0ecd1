// Package supervisor answers the notifications of containers. Each container has two
// processes. The worker, inside the container's user namespace, answers. The keeper,
// outside of it, holds duplicates of the listeners and the journal, and starts a new
// worker if the old one dies; the worker does the same for the keeper. If both die, the
// witness, which is the process that started them, does it, as long as it lives, and if it
// dies with them, the standby. If all are killed, an undertaker ends the container.
//
// # Threads
//
// In the worker, one goroutine executes the messages of the keeper (worker.run). Each
// listener has a goroutine that adds receivers when all are stuck (listener.watch), and
// one to sixteen receivers, or up to 256 while file systems do not answer. A receiver is a
// goroutine that is locked to its thread, because it changes the thread's root directory
// and namespaces; it executes the handlers.
//
// A call that has to wait for a socket moves to the waiting room of its listener
// (waitingRoom), one more thread of that kind, which starts with the first such call.
//
// In the keeper, one goroutine waits for the end of the worker and starts the next one
// (keeper.restartWorker), one for each listener waits until it hangs up
// (keeper.awaitHangup), and one for each connection serves a request for a further
// listener (keeper.serve).
//
// In the process that starts the supervisor, one goroutine for each container is the
// witness (witness.watch), and one copies the supervisor's log.
//
// # Fields and their locks
//
//   - witness: belongs to its goroutine. In the standby, that is the main one.
//   - keeper: the fields before mu are set before other goroutines use them. mu
//     protects the rest, and the fields of session. It is held during round trips to the
//     worker, so that requests do not mix; the worker never waits for mu.
//   - worker: keeper belongs to the goroutine of worker.run. The fields that setUp sets
//     are constant from the first listener on. mu protects listeners.
//   - listener: mu protects receivers and own. multiple and watchAsleep are atomic; the rest is
//     constant.
//   - receiver: belongs to its own thread, including its handlers.Call and what the
//     slot points to. Only busy and caller are read by others: they are atomic.
//   - rootCache: root is set before the first listener. mu protects changer, and is
//     held for changes of the atomic fields, which receivers read without it.
//   - socketSet: mu protects count.
//   - waitingRoom: belongs to its own thread, except for the channel entering, the eventfd
//     wake, and receiver, which is constant.
//   - waitingCalls: mu protects which calls are taken; a call belongs to its listener's
//     waiting room from when it enters until remove.
//   - replays: mu protects the calls. has reads the thread ids without it.
//
// Lock order: listener.mu before replays.mu and waitingCalls.mu. No other two of these mutexes are held at
// the same time. Handlers are called without any of them.
//
// # Shared memory
//
// The journal (type journal) is a memfd, which the worker maps and the keeper only
// holds. It has a slot for each receiver, and after the slots, the owners of the host's
// inodes (owner.HostOwners), what handlers note about sockets (handlers.SocketRecords), the
// calls in waiting rooms, spare slots (type spareSlot), the table of identities (package
// identity), the owners of System V IPC objects (package svipc) and the counters (package
// statistics), which others may read. One worker at a time uses it. What a
// program writes to an id map waits in a file whose descriptor is in a socket (type mapStore),
// which is held and used likewise.
//
// The kernel writes notifications right into slot.notif, in SECCOMP_IOCTL_NOTIF_RECV.
// The slot's receiver writes slot.resp before it sends the answer; handlers write
// slot.intent and slot.previous before an effect that must not happen twice. After the
// death of a worker, the first receiver of each listener in the next worker saves
// interrupted calls (worker.saveInterrupted), before there are other receivers. Then
// each receiver answers the notification in its slot, if any (receiver.recover).
package supervisor

import (
	"errors"
	"os"

	"github.com/rootless-containers/subuidless/internal/identity"
)

// The names, argv[0], of the supervisor's processes.
const (
	KeeperName  = "subuidless-keeper"
	WorkerName  = "subuidless-worker"
	StandbyName = "subuidless-standby"
	// UndertakerName has another beginning, so that pkill -f subuidless leaves somebody who ends the
	// container. It is not longer than KeeperName: see userns.Dormant.
	UndertakerName = "undertaker"
)

// IsProcess reports whether name is that of a supervisor's process.
func IsProcess(name string) bool {
	return name == KeeperName || name == WorkerName || name == StandbyName || name == UndertakerName
}

// Config is the configuration of a container's supervisor.
type Config struct {
	// ID is the name of the container, for messages and for Join.
	ID string
	// SocketDir is the directory in which the keeper listens on a socket for further
	// listeners of the container (see Join). Empty: the keeper has no socket.
	SocketDir string
	// Trace is the absolute path of a file to which the worker appends a line for each
	// notification. Empty: no trace.
	Trace string
	// TimeAll has every notification timed, for exact times in the counters: see package statistics.
	// Otherwise, one of many is.
	TimeAll bool `json:",omitempty"`
	// Sidecar is the absolute path of the directory with the records of inodes that
	// cannot carry extended attributes. Empty: the default, see
	// owner.DefaultSidecar.
	Sidecar string
	// Records is the file of owner.CreateTemporary: the owners that the container records end
	// with it. Nil: they stay with the files. Keepers and workers inherit it.
	Records *os.File `json:"-"`
	// HasRecords says that Records is not nil, to them. Prepare sets it.
	HasRecords bool `json:",omitempty"`
	// NoPermissions turns off the permission checks for files. The container's filter
	// may then be made from syscalls.WithoutPermissions.
	NoPermissions bool
	// Accelerate is after how many calls a process gets code to answer them itself: see package
	// accelerate. 0: never. The container's filter must be made from syscalls.WithAcceleration.
	Accelerate uint32 `json:",omitempty"`
	// Standby has a further process take over if the process that starts the supervisor, keeper and
	// worker are all killed in the same instant. It starts when the container has run for a second.
	// A container that ends with the process that starts the supervisor needs none.
	Standby bool `json:",omitempty"`
	// Session, if not nil, lets others start processes in the container's namespaces:
	// see Enter. The files uid_map and gid_map always show all ids there, because container
	// engines decide by them which ids they may use.
	Session *Session `json:",omitempty"`
}

// Process is a process to supervise, together with its descendants.
type Process struct {
	// Listener is the listener of the process's filter. The caller keeps it open.
	Listener *os.File
	// Pid is the process id in the PID namespace of the caller. In Join it may be 0.
	Pid int
	// User is the identity that the process's program gets; nil: the ids that the
	// runtime sets with system calls.
	User *identity.User
	// Running means that the process has executed its program already. Unless User is
	// nil, identity.Mark must have been called for it before.
	Running bool
}

// ErrNoKeeper means that no keeper of the container listens in Config.SocketDir.
var ErrNoKeeper = errors.New("no supervisor of this container is running")
