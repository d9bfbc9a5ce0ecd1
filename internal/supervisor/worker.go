package supervisor

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/accelerate"
	"github.com/rootless-containers/subuidless/internal/fdpass"
	"github.com/rootless-containers/subuidless/internal/handlers"
	"github.com/rootless-containers/subuidless/internal/identity"
	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/perm"
	"github.com/rootless-containers/subuidless/internal/statistics"
	"github.com/rootless-containers/subuidless/internal/svipc"
	"github.com/rootless-containers/subuidless/internal/sys"
	"github.com/rootless-containers/subuidless/internal/syscalls"
	"github.com/rootless-containers/subuidless/internal/target"
	"github.com/rootless-containers/subuidless/internal/unotify"
	"github.com/rootless-containers/subuidless/internal/userns"
)

// The descriptors of a new worker. 0 to 2 are the decoy: see newDecoy.
const (
	workerConn = 3 + iota
	workerJournal
	workerLog
	workerWitness
	workerMapsOut
	workerMapsIn
	workerRecords
	workerStandby
)

// processStart is when this process started, in nanoseconds since 1970: after the death
// of the previous worker.
var processStart = time.Now().UnixNano()

// worker answers the notifications of one container. It is inside the container's user
// namespace, so that the kernel lets it do only what the container's root can do, and
// outside of its PID namespace, so that the container cannot see or kill it. The
// package comment lists the threads that use each field.
type worker struct {
	keeper    conn
	log       *os.File
	witness   *os.File // the keeper's end of the witness's socket, for a new keeper
	standby   *os.File // that of the standby's socket, or /dev/null
	journal   *journal
	dispatch  *syscalls.Dispatch
	owners    *owner.Store
	devices   handlers.Devices
	protected perm.Protected
	trace     *trace    // nil: no trace
	proc      int       // O_PATH descriptor of the supervisor's /proc
	reported  sync.Once // a call without a row
	adoptIPC  sync.Once // see handlers.Call.AdoptIPC

	identities *identity.Table
	ipc        *svipc.Table
	counters   *statistics.Counters
	sockets    *handlers.Sockets
	roots      rootCache
	maps       handlers.MapWrites
	mounts     handlers.NewMounts
	network    target.EmptyNetwork

	acceleration *acceleration // nil: processes are not accelerated

	replays replays
	waiting waitingCalls

	cfg Config

	mu        sync.Mutex
	listeners [maxListeners]*listener // by index; nil: none
}

// WorkerMain is the main function of the worker's process, which receives messages of the
// keeper. It returns the exit status.
func WorkerMain() int {
	log := os.NewFile(workerLog, "log")
	slog.SetDefault(slog.New(slog.NewTextHandler(log, nil)))
	if err := debug.SetCrashOutput(log, debug.CrashOptions{}); err != nil {
		slog.Warn("crashes of the worker will not be logged", "err", err)
	}
	if err := errors.Join(confine(), hide()); err != nil {
		slog.Warn("the worker is not confined as far as possible", "err", err)
	}
	keeper, err := inherited(workerConn)
	if err != nil {
		slog.Error("the worker cannot start", "err", err)
		return 1
	}
	w := &worker{keeper: keeper, log: log, witness: os.NewFile(workerWitness, "witness"), standby: os.NewFile(workerStandby, "standby"), dispatch: syscalls.NewDispatch()}
	w.dispatch.LeaveMissing(sys.Lacks)
	go keeper.continueParent(os.Args[1])
	if err := w.run(); err != nil {
		slog.Error("the worker failed", "err", err)
		return 1
	}
	return 0
}

// run handles the messages of the keeper until the last listener has hung up.
func (w *worker) run() error {
	defer func() {
		if w.owners != nil {
			w.owners.ForgetGone()
			w.owners.Finish()
		}
	}()
	for {
		m, fds, err := w.keeper.receive()
		if err == nil {
			if err = w.handleMessage(m, fds); err != nil {
				fdpass.Close(fds)
			}
			err = w.keeper.answer(err)
		}
		if err == nil {
			continue
		}
		if !w.replaceKeeper() {
			return nil
		}
	}
}

// setUp prepares the worker for its first listener.
func (w *worker) setUp(cfg *Config) error {
	w.cfg = *cfg
	var err error
	if err := unotify.CheckSizes(); err != nil {
		return err
	}
	if w.journal, err = mapJournal(workerJournal); err != nil {
		return err
	}
	w.roots.journal, w.roots.exists = w.journal, sys.TaskExists
	w.sockets = handlers.NewSockets(&w.journal.sockets)
	w.waiting.calls = &w.journal.waiting
	w.replays.open(&w.journal.interrupted)
	if w.proc, err = unix.Open("/proc", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return fmt.Errorf("open /proc: %w", err)
	}
	var mapped owner.ID
	if mapped.UID, err = userns.MappedID("uid_map"); err != nil {
		return err
	}
	if mapped.GID, err = userns.MappedID("gid_map"); err != nil {
		return err
	}
	if w.identities, err = identity.Map(workerJournal, identitiesOffset, w.proc, mapped.UID, mapped.GID); err != nil {
		return err
	}
	w.maps.Restore(mapStore{workerMapsOut, workerMapsIn}, w.identities)
	if w.ipc, err = svipc.Map(workerJournal, ipcOffset); err != nil {
		return err
	}
	facts := statistics.Facts{Started: time.Now(), Session: cfg.Session != nil, Accelerate: cfg.Accelerate > 0}
	if w.counters, err = statistics.Map(workerJournal, statisticsOffset, facts); err != nil {
		return err
	}
	side, err := openSidecar(cfg.Sidecar)
	if err != nil {
		// Not an error: most containers never need the sidecar.
		slog.Warn("owners of symbolic links, FIFOs, sockets and devices cannot be recorded; changing them fails with EROFS",
			"err", err, "remedy", "make the sidecar directory writable, or choose another one with --sidecar")
	} else if side.ReadOnly() {
		slog.Warn("the sidecar is read-only: owners of inodes that cannot carry the attribute can be read, but changing them fails with EROFS",
			"remedy", "make the sidecar directory writable, or choose another one with --sidecar")
	}
	w.owners = owner.NewStore(mapped, side)
	w.owners.Report = w.reportMalformed
	w.owners.ReportPassing = reportPassing
	w.owners.Host = &w.journal.hostOwners
	if cfg.HasRecords {
		w.cfg.Records = os.NewFile(workerRecords, "records")
		if w.owners.Temporary, err = owner.OpenTemporary(w.cfg.Records); err != nil {
			return fmt.Errorf("records that end with the command: %w", err)
		}
	}
	if w.devices, err = handlers.OpenDevices(); err != nil {
		slog.Warn("a device of the host is missing; opening one that has been created with mknod in the container fails with ENXIO", "err", err)
	}
	if w.protected, err = handlers.ReadProtected(); err != nil {
		return err
	}
	if cfg.Accelerate > 0 {
		w.identities.Leaves = accelerate.Stop
		if w.acceleration, err = newAcceleration(cfg.Accelerate, &w.journal.sharing); err != nil {
			slog.Warn("processes are not accelerated", "err", err)
		} else {
			w.owners.Refused = w.acceleration.StopAll
		}
	}
	if cfg.Trace != "" {
		if w.trace, err = openTrace(cfg.Trace); err != nil {
			return err
		}
	}
	return nil
}

// openSidecar opens the sidecar in dir, or in the default directory if dir is empty.
func openSidecar(dir string) (*owner.Sidecar, error) {
	if dir == "" {
		var err error
		if dir, err = owner.DefaultSidecar(); err != nil {
			return nil, err
		}
	}
	return owner.OpenSidecar(dir)
}

// handleMessage executes a message of the keeper: the first one sets the worker up, and
// each of the others adds a listener, with the descriptors fds, or sets the identity of the program
// of the next one.
func (w *worker) handleMessage(m message, fds []int) error {
	switch {
	case m.Config != nil:
		return w.setUp(m.Config)
	case m.Witness:
		return replaceSocket(workerWitness, fds)
	case m.Standby:
		return replaceSocket(workerStandby, fds)
	}
	if w.journal == nil {
		return errors.New("the first message to the worker has no configuration")
	}
	if m.Fresh {
		if l := w.listenerAt(m.Index); l != nil && l.occupied() {
			return errOccupied
		}
		return w.setIdentity(m)
	}
	if len(fds) != requestFDs {
		return errDescriptors(len(fds), requestFDs)
	}
	if w.roots.root == (unix.Stat_t{}) {
		if err := unix.Fstat(fds[fdRoot], &w.roots.root); err != nil {
			return fmt.Errorf("fstat the container's root directory: %w", err)
		}
		handlers.LookForDevices(w.owners, fmt.Sprintf("/proc/self/fd/%d/", fds[fdRoot]))
	}
	return w.serve(m.Index, fds)
}

// listenerAt returns the last listener with the index, which may have hung up, or nil.
func (w *worker) listenerAt(index int) *listener {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.listeners[index]
}

// replaceSocket makes the descriptor fd, which new keepers inherit, a duplicate of the one in fds.
func replaceSocket(fd int, fds []int) error {
	if len(fds) != 1 {
		return errDescriptors(len(fds), 1)
	}
	if err := unix.Dup3(fds[0], fd, unix.O_CLOEXEC); err != nil {
		return os.NewSyscallError("dup3", err)
	}
	fdpass.Close(fds)
	return nil
}

// setIdentity sets the identity of the program of a listener that will be added.
func (w *worker) setIdentity(m message) error {
	switch {
	case m.RunningPID == 0:
		return w.identities.Prepare(m.Index, m.User)
	case m.User == nil:
		return nil
	}
	return w.identities.Started(uint32(m.RunningPID), m.User)
}

// reportPassing logs that records of a file system do not last.
func reportPassing(file string) {
	slog.Warn("the file system of this file stores no owners, and does not identify files for long: what is recorded holds until it is unmounted, or no container runs and the kernel needs memory",
		"file", file, "remedy", "work on another file system, or let this one store user.* attributes")
}

// maxReports is how many malformed records are logged: a tree with many of them must
// not fill the log.
const maxReports = 10

// reportMalformed logs a record that cannot be decoded.
func (w *worker) reportMalformed(file string, value []byte) {
	if w.owners.Malformed() > maxReports {
		return
	}
	slog.Warn("malformed "+owner.Xattr+": it is ignored, and replaced when the owner of the file changes",
		"file", file, "value", fmt.Sprintf("%x", value))
}

// removeListener closes a listener that has hung up.
func (w *worker) removeListener(l *listener, index int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fdpass.Close(l.fds)
	if room := l.room.Load(); room != nil {
		room.close(&w.waiting)
	}
	if w.listeners[index] == l { // not another one that uses the index already
		w.listeners[index] = nil
	}
}

// unknown answers a call without a row. If its ABI is emulated, a newer subuidless has
// made the filter, and the kernel executes the call. Otherwise it fails with ENOSYS.
func (w *worker) unknown(n *unotify.Notif) handlers.Result {
	emulated := syscalls.Emulates(n.Data.Arch, n.Data.NR)
	w.reported.Do(func() {
		call := []any{"pid", n.PID, "arch", fmt.Sprintf("%#x", n.Data.Arch), "nr", fmt.Sprintf("%#x", uint32(n.Data.NR))}
		if emulated {
			slog.Warn("a newer subuidless wrote the container's config.json: this one does not emulate a system call, and the kernel executes it", call...)
		} else {
			slog.Error("a program makes system calls of an ABI that subuidless does not emulate (x32 or 32-bit Arm); they fail with ENOSYS", call...)
		}
	})
	if emulated {
		return handlers.Continue
	}
	return handlers.Errno(unix.ENOSYS)
}
