package supervisor

import (
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rootless-containers/subuidless/internal/target"
	"github.com/rootless-containers/subuidless/internal/unotify"
)

// listener is a listener that the worker serves, with its receivers. The package comment
// lists the threads that use each field.
type listener struct {
	worker *worker
	index  int
	fds    []int // see requestFDs
	fd     int   // fds[fdListener]
	view   target.View
	slots  []slot

	multiple  atomic.Bool // there are at least two receivers, or a waiting room
	mu        sync.Mutex
	receivers []*receiver
	running   sync.WaitGroup // counts the receivers

	room atomic.Pointer[waitingRoom] // nil: no call has waited yet

	watchAsleep atomic.Bool   // watch waits for wakeWatch
	wakeWatch   chan struct{} // wakes watch; has room for one element
}

// serve starts to answer the notifications of the listener with the given index,
// beginning with those that a dead worker has not answered. Fds are its descriptors:
// see requestFDs.
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
	unotify.SetSyncWakeUp(l.fd, true) // see wakeUpPolicy; EINVAL before Linux 6.6, where answers take longer
	// As many receivers as there are used slots, so that a call that had blocked the
	// dead worker does not delay the others.
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
	if w.waiting.any(index) {
		if err := l.openRoom(); err != nil {
			return err
		}
	}
	w.mu.Lock()
	w.listeners[index] = l
	w.mu.Unlock()
	go func() {
		l.watch()
		// Before Linux 6.11, receivers stay in RECV for ever; then this waits for ever.
		l.running.Wait()
		w.removeListener(l, index)
	}()
	return nil
}

// addReceiver starts another receiver.
func (l *listener) addReceiver() error {
	ready := make(chan error)
	go func() {
		// Never unlocked, because the thread has another root directory and other
		// namespaces than the process.
		runtime.LockOSThread()
		l.mu.Lock()
		s := &l.slots[len(l.receivers)]
		r, err := l.newReceiver(s)
		if err == nil {
			l.receivers = append(l.receivers, r)
			l.running.Add(1)
			l.multiple.Store(len(l.receivers) > 1 || l.room.Load() != nil)
			if len(l.receivers) == 1 {
				l.worker.saveInterrupted(l.fd, l.slots, r.call.Target)
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
		return fmt.Errorf("cannot start a thread that answers system calls: %w", err)
	}
	return nil
}

// stuckAfter is how long all receivers may be busy with the same calls before another
// receiver is added. A FUSE server in the container, for example, blocks a receiver
// that accesses its files until another receiver answers the server's own calls.
const stuckAfter = 20 * time.Millisecond

// watch adds receivers when all are stuck, and returns when the listener hangs up. It
// sleeps as long as there are no notifications.
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
				slog.Error("cannot wait for the end of the container", "err", err)
			}
			return
		case <-l.wakeWatch:
			l.watchAsleep.Store(false)
			continue
		case <-tick:
		}
		busy, stuck := l.countBusy(&last)
		if busy == 0 {
			l.watchAsleep.Store(true)
			// Count again: a receiver that has just started may not have seen watchAsleep.
			busy, stuck = l.countBusy(&last)
			l.watchAsleep.Store(busy == 0)
		}
		if stuck && busy < len(l.slots) {
			if err := l.addReceiver(); err != nil {
				slog.Error("all receivers are busy, and another could not be started", "err", err)
			}
		}
	}
}

// countBusy returns the number of busy receivers, and whether all of them are stuck:
// busy with the same notifications as in the previous call, which last holds.
func (l *listener) countBusy(last *[maxReceivers]uint64) (busy int, stuck bool) {
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

// setBusy notes that r handles the notification in its slot, and wakes watch.
func (l *listener) setBusy(r *receiver) {
	r.caller.Store(r.slot.notif.PID)
	r.busy.Store(r.slot.notif.ID)
	if l.watchAsleep.Load() {
		select {
		case l.wakeWatch <- struct{}{}:
		default: // watch has been woken already
		}
	}
}
