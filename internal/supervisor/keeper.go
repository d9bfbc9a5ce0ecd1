package supervisor

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/fdpass"
	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/unotify"
	"github.com/rootless-containers/subuidless/internal/userns"
)

// The descriptors of a new keeper. 0 to 2 are /dev/null.
const (
	keeperConn = 3 + iota
	keeperLog
	keeperWitness
	keeperRecords // of Config.Records; /dev/null if there are none
	keeperStandby // /dev/null if there is none
)

// keeper holds what must outlive a worker, and starts a new worker when one dies. The
// package comment lists the threads that use each field.
type keeper struct {
	cfg     Config
	log     *os.File
	journal *os.File
	decoy   *os.File // descriptors 0 to 2 of the workers
	maps    mapStore
	socket  string // path of the socket, see listen; empty: none
	// socketDir and socketFile are the status of Config.SocketDir and of the socket when that was created.
	socketDir, socketFile unix.Stat_t

	mu        sync.Mutex
	worker    conn
	workerPID int // 0 if the worker is not a child of this process
	witness   observer
	standby   observer
	listeners listenerSet
	next      int // index that addListener tries first
	// undertakers are the process ids of those that are children of this process, by index; 0: none.
	undertakers [maxListeners]int
	session     session
	ended       bool
	done        chan struct{} // closed when the container has ended
}

// KeeperMain is the main function of the keeper's process. It returns the exit status.
func KeeperMain() int {
	log := os.NewFile(keeperLog, "log")
	slog.SetDefault(slog.New(slog.NewTextHandler(log, nil)))
	if err := confine(); err != nil {
		slog.Warn("the keeper is not confined as far as possible", "err", err)
	}
	c, err := inherited(keeperConn)
	if err != nil {
		slog.Error("the keeper cannot start", "err", err)
		return 1
	}
	leaveCaller()
	go c.continueParent(os.Args[1])
	k := &keeper{log: log, done: make(chan struct{})}
	k.witness, err = inheritedObserver(keeperWitness)
	if err == nil && isSocket(keeperStandby) {
		k.standby, err = inheritedObserver(keeperStandby)
	}
	if err != nil {
		slog.Error("the keeper cannot start", "err", err)
		return 1
	}
	if err := k.run(c); err != nil {
		slog.Error("the keeper failed", "err", err)
		return 1
	}
	return 0
}

// leaveCaller makes the process independent of whoever started the container.
//
// In its own process group, it gets no signals from the terminal; in "/", it does not keep a file
// system busy. It has no session of its own: each session has its own share of the CPU (autogrouping
// in sched(7)), and switches between tasks of different sessions are slower.
func leaveCaller() {
	if err := unix.Setpgid(0, 0); err != nil {
		slog.Warn("the supervisor cannot leave its process group: signals of the terminal may kill it", "err", err)
	}
	if err := os.Chdir("/"); err != nil {
		slog.Warn("the supervisor cannot leave its working directory, and keeps that file system busy", "err", err)
	}
}

// run serves the requests at c, and later those at the keeper's socket, until no task of
// the container is left.
func (k *keeper) run(c conn) error {
	m, fds, err := c.receive()
	if errors.Is(err, io.EOF) {
		return nil // the container has not been started
	}
	if err != nil {
		return err
	}
	if m.Config == nil {
		return errors.New("the first message to the keeper has no configuration")
	}
	k.cfg = *m.Config
	if len(fds) == 1 {
		failure := k.prepare(fds[0])
		fdpass.Close(fds)
		m, fds, err = c.receive()
		switch {
		case failure != nil:
			return c.answer(failure)
		case err != nil: // the container has not been started
			k.worker.Close()
			_, _ = userns.Wait(k.workerPID)
			return nil
		}
	}
	if m.Adopt > 0 {
		if err := k.adopt(c, m, fds); err != nil {
			return err
		}
		_ = k.listen() // the processes that are running do not need the socket
	} else {
		err := k.start(fds, m)
		if e := c.answer(err); e != nil && err == nil {
			slog.Warn("the process that started this supervisor exited before the answer", "err", e)
		}
		c.Close()
		if err != nil { // the answer has reported it
			return k.removeSocket()
		}
	}
	if k.cfg.Standby {
		go k.keepStandby()
	}
	<-k.done
	return nil
}

// start begins to supervise a new container. Fds are those of its first process: see
// requestFDs.
func (k *keeper) start(fds []int, m message) error {
	if len(fds) != requestFDs {
		return errDescriptors(len(fds), requestFDs)
	}
	if k.journal == nil {
		if err := k.prepare(fds[fdUserNS]); err != nil {
			return err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	// Before the answer, after which others may call Join. A session is useless if nobody can.
	if err := k.listen(); err != nil && k.cfg.Session != nil {
		return err
	}
	for end, wait := time.Now().Add(restartPatience), time.Millisecond; ; wait = min(2*wait, time.Second) {
		again, err := k.activateWorker(func() error { return k.addListener(fds, m) })
		if !again || time.Now().After(end) {
			return err
		}
		slog.Warn("the worker died; starting another", "container", k.cfg.ID, "err", err)
		time.Sleep(wait)
		if err := k.startWorker(fds[fdUserNS]); err != nil {
			return err
		}
	}
}

// prepare starts the first worker, in the user namespace of the descriptor ns. It does
// not wait until the worker is ready.
func (k *keeper) prepare(ns int) error {
	journal, err := newJournal()
	if err != nil {
		return err
	}
	decoy, err := newDecoy()
	if err != nil {
		return err
	}
	if k.maps, err = newMapStore(); err != nil {
		return err
	}
	k.setFiles(journal, decoy)
	k.report(message{Config: &k.cfg}, journal, decoy, k.maps.out, k.maps.in)
	return k.startWorker(ns)
}

// newDecoy creates the decoy: the file that is open as descriptors 0 to 2 of the workers.
//
// A path of a task may lead to /dev/stdout by a symbolic link. When the worker resolves
// it, the kernel follows /proc/self/fd/1 to the worker's own descriptor. The decoy
// carries an (empty) record, where the kernel allows that (Linux 6.6), so
// that owner.Store.Peek reports one and the path is resolved again, by
// target.Task.Open, which finds the right file.
func newDecoy() (int, error) {
	fd, err := unix.MemfdCreate("subuidless: not a file of the container", unix.MFD_CLOEXEC)
	if err != nil {
		return -1, os.NewSyscallError("memfd_create", err)
	}
	if err := unix.Fsetxattr(fd, owner.Xattr, nil, 0); err != nil && err != unix.EOPNOTSUPP {
		unix.Close(fd)
		return -1, os.NewSyscallError("fsetxattr of a memfd", err)
	}
	return fd, nil
}

// setFiles sets the keeper's files from their descriptors.
func (k *keeper) setFiles(journal, decoy int) {
	k.journal = os.NewFile(uintptr(journal), "journal")
	k.decoy = os.NewFile(uintptr(decoy), "decoy")
	k.serveCounters()
}

// errDescriptors is the error for a message with a wrong number of descriptors.
func errDescriptors(got, want int) error {
	return fmt.Errorf("received %d descriptors with a message, want %d", got, want)
}

// startWorker starts a worker in the user namespace of the descriptor ns, and sends it
// the configuration. It does not wait until the worker is ready: see activateWorker.
func (k *keeper) startWorker(ns int) error {
	ours, theirs, err := socketpair()
	if err != nil {
		return err
	}
	defer theirs.Close()
	same, err := userns.IsOwn(ns)
	if err != nil {
		return fmt.Errorf("cannot identify the container's user namespace: %w", err)
	}
	if same {
		ns = -1
	}
	decoy := int(k.decoy.Fd())
	cmd := userns.Command{
		Namespace: ns,
		Continued: true,
		Path:      "/proc/self/exe",
		Args:      []string{WorkerName, k.cfg.ID},
		// The Go runtime preempts goroutines with signals. Receivers, which make system
		// calls all the time, do not need that, and signals interrupt their calls.
		Env:   append([]string{"GODEBUG=asyncpreemptoff=1", workerProcs}, os.Environ()...), // the first one of a name counts
		Files: []int{decoy, decoy, decoy, int(theirs.Fd()), int(k.journal.Fd()), int(k.log.Fd()), keeperWitness, k.maps.out, k.maps.in, keeperRecords, keeperStandby},
	}
	pid, err := startPatient(&cmd)
	if err == nil {
		k.worker, k.workerPID = ours, pid
		err = ours.send(message{Config: &k.cfg})
	}
	if err != nil {
		ours.Close()
	}
	return err
}

// activateWorker waits until the worker is ready and calls serve, which sends it
// listeners. From then on, the worker is restarted when it dies. On an error, the worker is
// killed; again reports whether somebody else had done that. The caller holds k.mu.
func (k *keeper) activateWorker(serve func() error) (again bool, err error) {
	err = k.worker.awaitAnswer()
	if err == nil {
		err = serve()
	}
	if err == nil {
		go k.restartWorker(k.worker, k.workerPID)
		return false, nil
	}
	// Kill the worker, do not close its socket: it would assume that the keeper has died.
	if e := unix.Kill(k.workerPID, unix.SIGKILL); e != nil {
		slog.Error("cannot kill the broken worker", "pid", k.workerPID, "err", e)
	}
	status, e := userns.Wait(k.workerPID)
	k.worker.Close()
	if !workerDied(err) || e != nil {
		return false, err
	}
	return killed(status), fmt.Errorf("the worker died before it was ready (%s): %w", describe(status), err)
}

// restartWorker waits for the death of the worker at c, and starts another one if the
// container still runs. Pid is 0 if the worker is not a child of this process. The keeper's end of c is
// closed then, so that nobody waits for the answer of a worker that cannot exit.
func (k *keeper) restartWorker(c conn, pid int) {
	status := "unknown"
	if pid != 0 {
		status = awaitDeath(pid, k.cfg.ID)
	} else if err := c.awaitPeer(k.cfg.ID); err != nil {
		slog.Error("cannot wait for the end of the worker", "container", k.cfg.ID, "err", err)
	}
	c.Close()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.replaceWorker(status)
}

// replaceWorker starts workers until one works, or until the container ends. Status is that of
// the dead worker. The caller holds k.mu.
func (k *keeper) replaceWorker(status string) {
	collectEarly()
	for wait := time.Millisecond; ; wait = min(2*wait, time.Second) {
		home := k.namespaces()
		if k.ended || home == nil {
			return
		}
		slog.Warn("the worker died; starting another", "container", k.cfg.ID, "status", status)
		err := k.startWorker(home[fdUserNS])
		if err == nil {
			_, err = k.activateWorker(k.sendListeners)
		}
		if err == nil {
			return
		}
		slog.Error("the new worker does not work; trying again", "container", k.cfg.ID, "err", err)
		k.mu.Unlock() // the container may end meanwhile
		time.Sleep(wait)
		k.mu.Lock()
	}
}

// killed reports whether a wait status is that of a process that was killed.
func killed(s unix.WaitStatus) bool { return s.Signaled() && s.Signal() == unix.SIGKILL }

// describe returns a wait status in words.
func describe(s unix.WaitStatus) string {
	if s.Signaled() {
		return "killed by " + unix.SignalName(s.Signal())
	}
	return fmt.Sprintf("exit status %d", s.ExitStatus())
}

// sendListeners sends all listeners to a new worker. The caller holds k.mu.
func (k *keeper) sendListeners() error {
	for i, fds := range k.listeners {
		if fds == nil {
			continue
		}
		if err := k.worker.request(message{Index: i}, fds...); err != nil {
			return err
		}
	}
	return nil
}

// addListener adds a listener, as the message m requests, and keeps the descriptors fds. It is an
// error if the worker is killed before it has noted the identity of the program; from then on, the
// next worker serves the listener. The caller holds k.mu.
func (k *keeper) addListener(fds []int, m message) error {
	// Once, and before anybody serves the listener: the program may change its identity at once.
	i, err := k.prepareIndex(m)
	if err != nil {
		return err
	}
	k.report(message{Index: i}, fds...)
	if err := k.worker.request(message{Index: i}, fds...); err != nil && !workerDied(err) {
		k.report(message{Index: i})
		return err
	}
	k.listeners[i], k.next = fds, i+1
	k.attend(i, fds)
	return k.keepNamespaces(fds)
}

// errOccupied is a worker's answer if one of its threads still handles a call of the listener that had
// the index before, because a file system does not answer.
var errOccupied = errors.New("the index of the listener is in use")

// prepareIndex returns an index for another listener, for which the worker has noted the identity that
// m requests. The caller holds k.mu.
func (k *keeper) prepareIndex(m message) (int, error) {
	for n := range k.listeners {
		// Avoid the index that became free last: the worker may still use it.
		i := (k.next + n) % maxListeners
		if k.listeners[i] != nil {
			continue
		}
		err := k.worker.request(message{Index: i, Fresh: true, User: m.User, RunningPID: m.RunningPID})
		if err != nil && err.Error() == errOccupied.Error() {
			continue
		}
		return i, err
	}
	if k.cfg.Session != nil {
		return 0, fmt.Errorf("session %s already has %d commands and containers, the maximum: wait until one ends, or use another session", k.cfg.ID, maxListeners)
	}
	return 0, fmt.Errorf("container %s already has %d processes that exec has started, the maximum: wait until one ends", k.cfg.ID, maxListeners-1)
}

// attend starts what each listener needs.
func (k *keeper) attend(i int, fds []int) {
	go k.awaitHangup(i, fds)
	if k.cfg.Standby {
		go k.startUndertaker(i, fds)
	}
}

// awaitHangup waits until the listener with the index i hangs up, and closes it.
func (k *keeper) awaitHangup(i int, fds []int) {
	if err := unotify.WaitHangup(fds[fdListener]); err != nil {
		slog.Error("cannot wait for the end of the container", "container", k.cfg.ID, "err", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	fdpass.Close(fds)
	k.endUndertaker(i)
	k.listeners[i] = nil
	k.report(message{Index: i})
	if k.listeners.any() == nil {
		k.session.idleSince = time.Now()
		k.endIfUnused()
	}
}

// endIfUnused ends the container if no task is left, and nobody is about to start one. A
// session lingers first. The caller holds k.mu.
func (k *keeper) endIfUnused() {
	switch {
	case k.ended || k.listeners.any() != nil:
	case k.cfg.Session != nil:
		k.linger()
	default:
		k.end()
	}
}

// end ends the container. The caller holds k.mu.
func (k *keeper) end() {
	// Before others can notice the end: they may create a socket with this name.
	if err := k.removeSocket(); err != nil {
		slog.Warn("cannot remove the container's socket", "container", k.cfg.ID, "err", err)
	}
	k.ended = true
	k.worker.Close()
	close(k.done)
}
