package supervisor

import (
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/target"
	"github.com/rootless-containers/subuidless/internal/unotify"
)

// listener is a seccomp listener that the worker serves, with its receivers.
type listener struct {
	worker *worker
	index  int
	fds    []int // see requestFDs
	fd     int   // fds[fdListener]
	view   target.View
	slots  []slot

	several   atomic.Bool // there is more than one receiver
	mu        sync.Mutex
	receivers []*receiver
	running   sync.WaitGroup // the receivers

	watchAsleep atomic.Bool
	wakeWatch   chan struct{}
}

// serve starts to answer the notifications of a listener, those first that a
// dead worker has left.
func (w *worker) serve(index int, fds []int) error {
	l := &listener{
		worker: w,
		index:  index,
		fds:    fds,
		fd:     fds[fdListener],
		view:   target.View{MountNS: fds[fdMountNS], Root: fds[fdRoot]},
		slots:  w.journal.of(index),

		wakeWatch: make(chan struct{}, 1),
	}
	unotify.SetSyncWakeUp(l.fd, true) // see policy; EINVAL before Linux 6.6, where it stays slower
	// As many receivers as slots were in use, so that a call on which the dead
	// worker was blocked does not hold up the others.
	n := initialReceivers
	for i := range l.slots {
		if l.slots[i].notif.ID != 0 {
			n = max(n, i+1)
		}
	}
	for range n {
		if err := l.addReceiver(); err != nil {
			return err
		}
	}
	w.mu.Lock()
	w.listeners[index] = l
	w.mu.Unlock()
	go func() {
		l.watch()
		// Before Linux 6.11 a receiver stays in RECV for ever, and so do these.
		l.running.Wait()
		w.forget(l, index)
	}()
	return nil
}

// addReceiver starts one more receiving thread.
func (l *listener) addReceiver() error {
	ready := make(chan error)
	go func() {
		// Never unlocked: the thread's root directory and namespaces are not those
		// of the process.
		runtime.LockOSThread()
		l.mu.Lock()
		s := &l.slots[len(l.receivers)]
		r, err := l.newReceiver(s)
		if err == nil {
			l.receivers = append(l.receivers, r)
			l.running.Add(1)
			l.several.Store(len(l.receivers) > 1)
			if len(l.receivers) == 1 {
				l.worker.sortOut(l.fd, l.slots, r.call.Target)
			}
		}
		l.mu.Unlock()
		ready <- err
		if err == nil {
			defer l.running.Done()
			r.recover()
			r.serve(l)
			r.call.Target.Close()
		}
	}()
	if err := <-ready; err != nil {
		return fmt.Errorf("starting a thread that answers system calls: %w", err)
	}
	return nil
}

// hungUp tells whether no task is left that the listener's filter applies to.
func (l *listener) hungUp() bool {
	fds := []unix.PollFd{{Fd: int32(l.fd)}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0 && fds[0].Revents&unix.POLLHUP != 0
}

// stuckAfter is how long all receivers may be busy with the same calls before
// another one is added. A FUSE server that runs inside the container can block
// the receiver that looks at its files until the server's own calls are answered.
const stuckAfter = 20 * time.Millisecond

// watch adds receivers when all are stuck, until the listener hangs up. While
// nothing happens it sleeps, until a receiver wakes it.
func (l *listener) watch() {
	hangup := make(chan error, 1)
	go func() { hangup <- unotify.WaitHangup(l.fd) }()
	var last [maxReceivers]uint64
	for {
		tick := time.After(stuckAfter)
		if l.watchAsleep.Load() {
			tick = nil
		}
		select {
		case err := <-hangup:
			if err != nil {
				slog.Error("waiting for the end of a container failed", "err", err)
			}
			return
		case <-l.wakeWatch:
			l.watchAsleep.Store(false)
			continue
		case <-tick:
		}
		busy, stuck := l.look(&last)
		if busy == 0 {
			l.watchAsleep.Store(true)
			// Once more: a receiver that began just now has not seen that.
			busy, stuck = l.look(&last)
			l.watchAsleep.Store(busy == 0)
		}
		if stuck && busy < len(l.slots) {
			if err := l.addReceiver(); err != nil {
				slog.Error("all receivers are busy, and another could not be started", "err", err)
			}
		}
	}
}

// look counts the receivers that are busy, and tells whether all are, with the
// same calls as the last time.
func (l *listener) look(last *[maxReceivers]uint64) (busy int, stuck bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	stuck = true
	for i, r := range l.receivers {
		id := r.busy.Load()
		if id != 0 {
			busy++
		}
		stuck = stuck && id != 0 && id == last[i]
		last[i] = id
	}
	return busy, stuck
}

// busy notes that r begins to answer a notification.
func (l *listener) busy(r *receiver) {
	r.caller.Store(r.slot.notif.PID)
	r.busy.Store(r.slot.notif.ID)
	if l.watchAsleep.Load() {
		select {
		case l.wakeWatch <- struct{}{}:
		default: // it has been woken already
		}
	}
}
