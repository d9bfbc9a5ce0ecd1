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

	"github.com/rootless-containers/subuidless/internal/fdpass"
	"github.com/rootless-containers/subuidless/internal/handlers"
	"github.com/rootless-containers/subuidless/internal/identity"
	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/perm"
	"github.com/rootless-containers/subuidless/internal/syscalls"
	"github.com/rootless-containers/subuidless/internal/unotify"
	"github.com/rootless-containers/subuidless/internal/userns"
)

// The descriptors of a new worker. 0 to 2 are a file of no use, see newUseless.
const (
	workerConn = 3 + iota
	workerJournal
	workerLog
)

// processStart is when this process was started: after the death of the previous worker.
var processStart = time.Now().UnixNano()

// worker answers the notifications of one container, inside its user namespace
// and outside of its PID namespace. So the kernel itself bounds what the worker
// can do to what the container's own root can do.
type worker struct {
	keeper    conn
	log       *os.File
	journal   *journal
	dispatch  *syscalls.Dispatch
	owners    *owner.Store
	devices   handlers.Devices
	protected perm.Protected
	trace     *trace    // nil: none
	proc      int       // O_PATH descriptor of the supervisor's /proc
	reported  sync.Once // that a call has no row

	identities *identity.Table
	roots      rootCache

	replays replays

	cfg Config

	mu        sync.Mutex
	listeners [maxListeners]*listener // by index
}

// WorkerMain is the worker's process. Its keeper talks to it over a socket.
func WorkerMain() int {
	log := os.NewFile(workerLog, "log")
	slog.SetDefault(slog.New(slog.NewTextHandler(log, nil)))
	if err := debug.SetCrashOutput(log, debug.CrashOptions{}); err != nil {
		slog.Warn("crashes of the worker will not be logged", "err", err)
	}
	keeper, err := inherited(workerConn)
	if err != nil {
		slog.Error("worker", "err", err)
		return 1
	}
	w := &worker{keeper: keeper, log: log, dispatch: syscalls.NewDispatch()}
	if err := w.run(); err != nil {
		slog.Error("worker", "err", err)
		return 1
	}
	return 0
}

// run serves the listeners that the keeper gives it until the last one has hung up.
func (w *worker) run() error {
	for {
		m, fds, err := w.keeper.receive()
		if err == nil {
			if err = w.take(m, fds); err != nil {
				fdpass.Close(fds)
			}
			err = w.keeper.answer(err)
		}
		if err == nil {
			continue
		}
		if !w.serving() {
			return nil // the keeper goes away when the last task is gone
		}
		if err := w.startKeeper(); err != nil {
			// The container goes on as long as this worker does.
			slog.Error("the keeper died, and another could not be started", "container", w.cfg.ID, "err", err)
			w.waitForEnd()
			return nil
		}
	}
}

// setUp prepares for the first listener.
func (w *worker) setUp(cfg *Config) error {
	w.cfg = *cfg
	var err error
	if err := unotify.CheckSizes(); err != nil {
		return err
	}
	if w.journal, err = mapJournal(workerJournal); err != nil {
		return err
	}
	w.roots.journal = w.journal
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
	side, err := openSidecar(cfg.Sidecar)
	if err != nil {
		// Most containers never need it.
		slog.Warn("owners of symbolic links, FIFOs, sockets and devices cannot be recorded; changing them fails with EROFS",
			"err", err, "remedy", "make the directory writable, or name another with --sidecar")
	}
	w.owners = owner.NewStore(mapped, side)
	w.owners.Report = w.reportMalformed
	if w.devices, err = handlers.OpenDevices(); err != nil {
		slog.Warn("a device of this name that is made in the container cannot be opened: ENXIO", "err", err)
	}
	if w.protected, err = handlers.ReadProtected(); err != nil {
		return err
	}
	if cfg.Trace != "" {
		if w.trace, err = openTrace(cfg.Trace); err != nil {
			return err
		}
	}
	return nil
}

func openSidecar(dir string) (*owner.Sidecar, error) {
	if dir == "" {
		var err error
		if dir, err = owner.DefaultSidecar(); err != nil {
			return nil, err
		}
	}
	return owner.OpenSidecar(dir)
}

// take does what a message asks for: to set the worker up, which comes first, or
// to take on a listener.
func (w *worker) take(m message, fds []int) error {
	if m.Config != nil {
		return w.setUp(m.Config)
	}
	if w.journal == nil {
		return errors.New("the first message to the worker has no configuration")
	}
	if len(fds) != requestFDs {
		return errDescriptors(len(fds), requestFDs)
	}
	if err := w.identify(m); err != nil {
		return err
	}
	if w.roots.root == (unix.Stat_t{}) {
		if err := unix.Fstat(fds[fdRoot], &w.roots.root); err != nil {
			return fmt.Errorf("fstat of the container's root directory: %w", err)
		}
	}
	return w.serve(m.Index, fds)
}

// identify notes who the program of a new listener is, or is to be.
func (w *worker) identify(m message) error {
	switch {
	case !m.Fresh:
		return nil
	case m.RunningPID == 0:
		return w.identities.Prepare(m.Index, m.User)
	case m.User == nil:
		return nil
	}
	return w.identities.Started(uint32(m.RunningPID), m.User)
}

// maxReports is how many malformed values are logged: a tree that some other
// program has filled with them must not fill the log.
const maxReports = 10

// reportMalformed logs a value of the extended attribute that cannot be decoded.
func (w *worker) reportMalformed(file string, value []byte) {
	if w.owners.Malformed() > maxReports {
		return
	}
	slog.Warn("malformed "+owner.Xattr+"; it counts as absent, and changing the file's owner writes it anew",
		"file", file, "value", fmt.Sprintf("%x", value))
}

// forget lets go of a listener that has hung up.
func (w *worker) forget(l *listener, index int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fdpass.Close(l.fds)
	if w.listeners[index] == l { // and not one that came later
		w.listeners[index] = nil
	}
}

// unknown answers a call that the table has no row for. Of an ABI that is emulated, the filter
// is that of a newer subuidless: the kernel executes the call.
func (w *worker) unknown(n *unotify.Notif) handlers.Result {
	emulated := syscalls.Emulates(n.Data.Arch, n.Data.NR)
	w.reported.Do(func() {
		call := []any{"pid", n.PID, "arch", fmt.Sprintf("%#x", n.Data.Arch), "nr", fmt.Sprintf("%#x", uint32(n.Data.NR))}
		if emulated {
			slog.Warn("a system call is notified that this subuidless does not answer: the container's config.json was written by a newer one; it is the kernel's own", call...)
		} else {
			slog.Error("a program makes system calls of an ABI that subuidless does not emulate (x32, or 32-bit Arm); they fail with ENOSYS", call...)
		}
	})
	if emulated {
		return handlers.Continue
	}
	return handlers.Errno(unix.ENOSYS)
}
