package supervisor

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/fdpass"
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

// resume continues a process of the container's supervisor.
func resume(pid int, name, container string) {
	slog.Warn("a signal has stopped a process of the supervisor; continuing it", "container", container, "process", name)
	if err := unix.Kill(pid, unix.SIGCONT); err != nil {
		slog.Error("cannot continue a process of the supervisor", "pid", pid, "err", err)
	}
}

// lookEvery is how often a process that is not a child is looked at.
const lookEvery = time.Second

// awaitPeer waits until the process at the other end of c, a worker, has exited: it is not a child.
func (c conn) awaitPeer(container string) error {
	peer, err := fdpass.Peer(c.UnixConn)
	if err != nil {
		return err
	}
	for {
		if gone, err := c.waitHangup(lookEvery); gone || err != nil {
			return err
		}
		if isStopped(int(peer.Pid)) {
			resume(int(peer.Pid), WorkerName, container)
		}
	}
}

// isStopped reports whether a signal has stopped the process.
func isStopped(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false // it has exited
	}
	after := stat[bytes.LastIndexByte(stat, ')')+1:] // the name of the program may have spaces
	return bytes.HasPrefix(after, []byte(" T "))
}
