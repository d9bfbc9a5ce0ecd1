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
)

// keeper holds what must outlive a worker, and sees to it that there is one.
type keeper struct {
	cfg     Config
	log     *os.File
	journal *os.File
	decoy   *os.File // descriptors 0 to 2 of the workers
	socket  string   // see listen; empty: none

	mu        sync.Mutex
	worker    conn
	workerPID int                 // 0 if it is not a child
	listeners [maxListeners][]int // descriptors, see requestFDs; nil: none
	next      int                 // index to try first
	done      chan struct{}       // closed when the last listener has hung up
}

// KeeperMain is the keeper's process.
func KeeperMain() int {
	log := os.NewFile(keeperLog, "log")
	slog.SetDefault(slog.New(slog.NewTextHandler(log, nil)))
	c, err := inherited(keeperConn)
	if err != nil {
		slog.Error("keeper", "err", err)
		return 1
	}
	// Of its own process group, in the background, and nobody's working directory: the
	// terminal's signals are not meant for it, and it does not keep a file system busy.
	// Not of its own session: each has its share of the CPU (sched(7), autogroup), and
	// two tasks that take turns across such a border pay for it at every switch.
	if err := unix.Setpgid(0, 0); err != nil {
		slog.Warn("keeper: setpgid", "err", err)
	}
	if err := os.Chdir("/"); err != nil {
		slog.Warn("keeper: chdir", "err", err)
	}
	k := &keeper{log: log, done: make(chan struct{})}
	if err := k.run(c); err != nil {
		slog.Error("keeper", "err", err)
		return 1
	}
	return 0
}

// run serves the request that is waiting at c, and those that follow, until no
// task of the container is left.
func (k *keeper) run(c conn) error {
	m, fds, err := c.receive()
	if errors.Is(err, io.EOF) {
		return nil // there is to be no container
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
		case err != nil: // there is to be no container
			k.worker.Close()
			reap(k.workerPID)
			return nil
		}
	}
	if m.Adopt > 0 {
		if err := k.adopt(c, m, fds); err != nil {
			return err
		}
		k.listen()
	} else {
		err := k.start(fds, m)
		if err == nil {
			k.listen() // before the answer: from then on there is somebody to join
		}
		if e := c.answer(err); e != nil && err == nil {
			slog.Warn("the process that started this supervisor is gone", "err", e)
		}
		c.Close()
		if err != nil {
			return nil // whoever asked knows
		}
	}
	<-k.done
	if k.socket != "" {
		return os.Remove(k.socket)
	}
	return nil
}

// start starts to serve the first listener of a new container.
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
	return k.employ(func() error { return k.add(fds, m) })
}

// prepare starts the first worker, in the user namespace that the descriptor ns
// refers to.
func (k *keeper) prepare(ns int) error {
	journal, err := newJournal()
	if err != nil {
		return err
	}
	decoy, err := newDecoy()
	if err != nil {
		return err
	}
	k.setFiles(journal, decoy)
	return k.startWorker(ns)
}

// newDecoy returns the descriptors 0 to 2 of the workers.
//
// A task's path may lead to /dev/stdout without saying so, and where the
// supervisor resolves it, that is the supervisor's own descriptor 1. What is
// recorded for this file, where the kernel allows it (Linux 6.6), makes
// owner.Store.Peek tell that something is, and target.Task.Open then finds the
// file that was meant.
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

func (k *keeper) setFiles(journal, decoy int) {
	k.journal = os.NewFile(uintptr(journal), "journal")
	k.decoy = os.NewFile(uintptr(decoy), "decoy")
}

func errDescriptors(got, want int) error {
	return fmt.Errorf("got %d descriptors with a message, want %d", got, want)
}

// startWorker starts a worker in the user namespace that the descriptor ns refers
// to. It begins to set itself up, and employ waits until it has.
func (k *keeper) startWorker(ns int) error {
	ours, theirs, err := socketpair()
	if err != nil {
		return err
	}
	defer theirs.Close()
	same, err := userns.IsOwn(ns)
	if err != nil {
		return fmt.Errorf("looking at the container's user namespace: %w", err)
	}
	if same {
		ns = -1
	}
	decoy := int(k.decoy.Fd())
	cmd := userns.Command{
		Namespace: ns,
		Path:      "/proc/self/exe",
		Args:      []string{WorkerName, k.cfg.ID},
		// The Go runtime preempts long-running threads by signals, which the
		// receivers, always in system calls, do not need.
		Env:   append(os.Environ(), "GODEBUG=asyncpreemptoff=1"),
		Files: []int{decoy, decoy, decoy, int(theirs.Fd()), int(k.journal.Fd()), int(k.log.Fd())},
	}
	pid, err := cmd.Start()
	if err == nil {
		k.worker, k.workerPID = ours, pid
		err = ours.send(message{Config: &k.cfg})
	}
	if err != nil {
		ours.Close()
	}
	return err
}

// employ has the worker serve the container's listeners, and sees to it that
// another one is started when it dies. The caller holds k.mu.
func (k *keeper) employ(serve func() error) error {
	err := k.worker.awaitAnswer()
	if err == nil {
		err = serve()
	}
	if err != nil {
		// Not by closing its socket: it would take the keeper for dead.
		if e := unix.Kill(k.workerPID, unix.SIGKILL); e != nil {
			slog.Error("killing a worker that does not work failed", "pid", k.workerPID, "err", e)
		}
		reap(k.workerPID)
		k.worker.Close()
		return err
	}
	go k.replace(k.worker, k.workerPID)
	return nil
}

// replace waits for the worker at c to end, and starts another one if the
// container still runs. Pid is 0 for a worker that is not a child.
func (k *keeper) replace(c conn, pid int) {
	status := "gone"
	if err := c.waitHangup(); err != nil {
		slog.Error("waiting for the worker's end failed", "container", k.cfg.ID, "err", err)
	}
	if pid != 0 {
		status = describe(reap(pid))
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for wait := time.Millisecond; ; wait = min(2*wait, time.Second) {
		first := k.first()
		if first == nil {
			return
		}
		slog.Warn("the worker died; starting another", "container", k.cfg.ID, "status", status)
		err := k.startWorker(first[fdUserNS])
		if err == nil {
			err = k.employ(k.handOver)
		}
		if err == nil {
			return
		}
		slog.Error("the new worker does not work; trying again", "container", k.cfg.ID, "err", err)
		k.mu.Unlock() // for the container to end meanwhile
		time.Sleep(wait)
		k.mu.Lock()
	}
}

// reap waits for a child to end.
func reap(pid int) (status unix.WaitStatus) {
	for {
		if _, err := unix.Wait4(pid, &status, 0, nil); err != unix.EINTR {
			return status
		}
	}
}

func describe(s unix.WaitStatus) string {
	if s.Signaled() {
		return "killed by " + unix.SignalName(s.Signal())
	}
	return fmt.Sprintf("exit status %d", s.ExitStatus())
}

// first returns a listener, or nil if there is none any more.
func (k *keeper) first() []int {
	for _, fds := range k.listeners {
		if fds != nil {
			return fds
		}
	}
	return nil
}

// handOver gives all listeners to a new worker.
func (k *keeper) handOver() error {
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

// add takes on a listener, for which m has asked. The caller holds k.mu.
func (k *keeper) add(fds []int, m message) error {
	for n := range k.listeners {
		// Not the one that became free last: the worker may still be busy with it.
		i := (k.next + n) % maxListeners
		if k.listeners[i] != nil {
			continue
		}
		if err := k.worker.request(message{Index: i, Fresh: true, User: m.User, RunningPID: m.RunningPID}, fds...); err != nil {
			return err
		}
		k.listeners[i], k.next = fds, i+1
		go k.wait(i, fds)
		return nil
	}
	return fmt.Errorf("container %s has %d processes started by exec already; wait for one to end", k.cfg.ID, maxListeners-1)
}

// wait waits for a listener to hang up, and forgets it.
func (k *keeper) wait(i int, fds []int) {
	if err := unotify.WaitHangup(fds[fdListener]); err != nil {
		slog.Error("waiting for the end of the container failed", "container", k.cfg.ID, "err", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	fdpass.Close(fds)
	k.listeners[i] = nil
	if k.first() == nil {
		k.worker.Close()
		close(k.done)
	}
}
