package supervisor

import (
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/handlers"
	"github.com/rootless-containers/subuidless/internal/statistics"
	"github.com/rootless-containers/subuidless/internal/syscalls"
	"github.com/rootless-containers/subuidless/internal/userns"
)

// timedEach notifications are counted for each one that is timed, unless Config.TimeAll is set:
// reading the clock twice would cost more than all the rest of counting, and on machines without a
// fast clock, two system calls.
const timedEach = 16

// timer is the time when a receiver began to handle a notification; zero: it is not timed.
type timer struct{ start time.Time }

// startTimer starts a timer for the notification in the slot, if it is one that is timed.
func (r *receiver) startTimer() timer {
	if r.timeIn > 0 && !r.worker.cfg.TimeAll {
		r.timeIn--
		return timer{}
	}
	r.timeIn = timedEach - 1
	return timer{time.Now()}
}

// elapsed returns the time since the start, or 0 without one.
func (t timer) elapsed() time.Duration {
	if t.start.IsZero() {
		return 0
	}
	return max(time.Since(t.start), 1)
}

// count counts the notification in the slot, which gets the answer result. Elapsed is how long it
// took; 0: it is not timed.
func (r *receiver) count(result handlers.Result, elapsed time.Duration) {
	d := &r.call.Data
	call := statistics.Call{I386: d.Arch == unix.AUDIT_ARCH_I386, Number: int(d.NR)}
	r.worker.counters.Count(call, result.Errno != 0 && !result.Continue, result.Continue, elapsed)
}

// CallName returns the name of a call that has been counted.
func CallName(c statistics.Call) string {
	arches, err := syscalls.Arches(runtime.GOARCH)
	if err != nil {
		return fmt.Sprintf("syscall_%d", c.Number) // this build does not run there
	}
	arch := arches[0]
	if c.I386 {
		arch = syscalls.I386
	}
	return syscalls.NameOf(arch, c.Number)
}

// Counters opens the counters of the container. The caller must close the reader, which outlives
// the keeper. Serve must have succeeded just before.
func (p *Prepared) Counters() (*statistics.Reader, error) { return statistics.Open(p.keeper) }

// serveCounters lets others see the counters. Without that, the container runs as well.
func (k *keeper) serveCounters() {
	if err := statistics.Serve(k.journal, k.describe); err != nil {
		slog.Warn("subuidless top will not show this container", "container", k.cfg.ID, "err", err)
	}
}

// describe describes the container to readers of the counters.
func (k *keeper) describe() statistics.Description {
	k.mu.Lock()
	defer k.mu.Unlock()
	d := statistics.Description{ID: k.cfg.ID}
	for _, fds := range append(k.listeners[:], k.session.home) {
		if fds == nil {
			continue
		}
		if inode, err := userns.Inode(fds[fdUserNS]); err == nil && !slices.Contains(d.Namespaces, inode) {
			d.Namespaces = append(d.Namespaces, inode)
		}
	}
	return d
}
