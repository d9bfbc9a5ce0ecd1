package supervisor

import (
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/fdpass"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// A keeper or worker that a signal stops would stop its container, or leave it without a
// replacement: whoever waits for its end continues it.

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
