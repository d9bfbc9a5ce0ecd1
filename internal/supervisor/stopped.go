package supervisor

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/fdpass"
	"github.com/rootless-containers/subuidless/internal/statistics"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// A keeper or worker that a signal stops would stop its container, or leave it without a
// replacement: its parent, or whoever else waits for its end, continues it, as do its children, and
// those who ask a keeper for something. If its parent is killed before that, the kernel continues it:
// userns.Command.Continued.

// awaitExit waits until the child pid exits, a process of the container's supervisor with that name,
// and returns its status.
func awaitExit(pid int, name, container string) (status unix.WaitStatus) {
	for {
		_, err := unix.Wait4(pid, &status, unix.WUNTRACED, nil)
		switch {
		case err == unix.EINTR:
		case err != nil || !status.Stopped():
			return status
		default:
			resume(pid, name, container)
		}
	}
}

// A worker that has been killed does not exit while one of its threads waits in the kernel for a file
// system that does not answer, and cannot be interrupted, as with FUSE. It does nothing more: another
// one may start.

const (
	// dyingEvery is how often a worker is looked at for that.
	dyingEvery = 3 * time.Second
	// dyingPatience is how long a worker may take to exit.
	dyingPatience = time.Second
)

// stuck is the status, in words, of a worker that cannot exit.
const stuck = "killed, but waiting for a file system that does not answer"

// awaitDeath waits until the worker pid, a child, has exited, or has been killed and cannot exit. It
// returns its status in words.
func awaitDeath(pid int, container string) string {
	exited := make(chan unix.WaitStatus, 1)
	go func() { exited <- awaitExit(pid, WorkerName, container) }()
	for wait := dyingEvery; ; {
		select {
		case status := <-exited:
			return describe(status)
		case <-time.After(wait):
		}
		switch _, dying := condition(pid); {
		case !dying:
			wait = dyingEvery
		case wait == dyingPatience:
			return stuck
		default:
			wait = dyingPatience
		}
	}
}

// condition reports whether a signal has stopped the process, and whether it has been killed, and not
// yet exited.
func condition(pid int) (stopped, dying bool) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return false, false // it has exited
	}
	state := sys.StatusField(status, "State")
	pending, err := strconv.ParseUint(sys.StatusField(status, "SigPnd"), 16, 64)
	return strings.HasPrefix(state, "T "), strings.HasPrefix(state, "Z") || // other threads have not exited
		err == nil && pending>>(unix.SIGKILL-1)&1 != 0
}

// resume continues a process of the container's supervisor.
func resume(pid int, name, container string) {
	slog.Warn("a signal has stopped a process of the supervisor; continuing it", "container", container, "process", name)
	if err := unix.Kill(pid, unix.SIGCONT); err != nil {
		slog.Error("cannot continue a process of the supervisor", "pid", pid, "err", err)
	}
}

// continueParent continues the parent of this process, at the other end of c, if a signal stops that,
// until it ends: its own parent may have ended. The front and the agent are not continued: they belong
// to the user's job control.
func (c conn) continueParent(container string) {
	peer, err := fdpass.Peer(c.UnixConn)
	if err != nil {
		slog.Warn("a process of the supervisor that a signal stops may stay so", "container", container, "err", err)
		return
	}
	parent := int(peer.Pid)
	cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", parent)) // an error means that it has ended
	name, _, _ := strings.Cut(string(cmdline), "\x00")
	for IsProcess(name) && os.Getppid() == parent {
		if stopped, _ := condition(parent); stopped {
			resume(parent, name, container)
		}
		time.Sleep(dyingEvery)
	}
}

// lookEvery is how often a process that is not a child is looked at.
const lookEvery = time.Second

// awaitPeer waits until the process at the other end of c, a worker, has exited, or has been killed and
// cannot exit: it is not a child.
func (c conn) awaitPeer(container string) error {
	peer, err := fdpass.Peer(c.UnixConn)
	if err != nil {
		return err
	}
	for wasDying := false; ; {
		if gone, err := c.waitHangup(lookEvery); gone || err != nil {
			return err
		}
		stopped, dying := condition(int(peer.Pid))
		if stopped {
			resume(int(peer.Pid), WorkerName, container)
		}
		if dying && wasDying {
			return nil
		}
		wasDying = dying
	}
}

// Silent is the error of a keeper that runs, and does not answer.
type Silent = statistics.Silent

// keeperPatience is how long a keeper may take to answer another process than its parent. It may be
// waiting for the next worker: see restartPatience.
var keeperPatience = 3 * restartPatience // a test has less

// receiveFrom receives an answer of a keeper, which is continued if a signal has stopped it. The error
// is a *Silent if none comes.
func (c conn) receiveFrom(id string) (m message, fds []int, err error) {
	err = c.awaitKeeper(id, time.Now().Add(keeperPatience), func() error {
		m, fds, err = c.receive()
		return err
	})
	return m, fds, err
}

// requestOf is request to a keeper: see receiveFrom.
func (c conn) requestOf(id string, m message, fds ...int) error {
	if err := c.send(m, fds...); err != nil {
		return err
	}
	m, fds, err := c.receiveFrom(id)
	fdpass.Close(fds)
	if err == nil && m.Error != "" {
		err = errors.New(m.Error)
	}
	return err
}

// awaitKeeper calls read, which reads what a keeper sends, until it returns something else than that
// nothing has come yet, or until end; zero: never. Meanwhile, it continues the keeper.
func (c conn) awaitKeeper(id string, end time.Time, read func() error) error {
	peer, err := fdpass.Peer(c.UnixConn)
	if err != nil {
		return err
	}
	for {
		look := time.Now().Add(lookEvery)
		if !end.IsZero() && end.Before(look) {
			look = end
		}
		if err := c.SetReadDeadline(look); err != nil {
			return err
		}
		if err := read(); err == nil {
			return c.SetReadDeadline(time.Time{})
		} else if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		if stopped, _ := condition(int(peer.Pid)); stopped {
			resume(int(peer.Pid), KeeperName, id)
		} else if look == end {
			return &Silent{ID: id, Keeper: int(peer.Pid)}
		}
	}
}
