package supervisor

import (
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

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
	slots  []slot // the first ones are in use

	multiple  atomic.Bool // there are at least two receivers, or a waiting room
	mu        sync.Mutex
	receivers []*receiver
	own       int            // how many of slots are in use
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
	spares := w.journal.sparesOf(index)
	for i := range n {
		if err := l.addReceiver(&l.slots[i], nil, spares); err != nil {
			return err
		}
	}
	for _, s := range spares {
		if s.slot.notif.ID == 0 {
			s.release()
		} else if err := l.addReceiver(&s.slot, s, nil); err != nil {
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

// addReceiver starts another receiver, which uses the slot s. Spare is s if that is one, else nil.
// The first receiver saves the interrupted calls that a dead worker has left in the listener's own
// slots, and in left.
func (l *listener) addReceiver(s *slot, spare *spareSlot, left []*spareSlot) error {
	ready := make(chan error)
	go func() {
		// Never unlocked, because the thread has another root directory and other
		// namespaces than the process.
		runtime.LockOSThread()
		l.mu.Lock()
		r, err := l.newReceiver(s)
		if err == nil {
			r.spare = spare
			l.receivers = append(l.receivers, r)
			if spare == nil {
				l.own++
			}
			l.running.Add(1)
			l.multiple.Store(len(l.receivers) > 1 || l.room.Load() != nil)
			if len(l.receivers) == 1 {
				l.worker.saveInterrupted(l.fd, l.slots, r.call.Target)
				for _, s := range left {
					l.worker.saveInterrupted(l.fd, unsafe.Slice(&s.slot, 1), r.call.Target)
				}
			}
		}
		l.mu.Unlock()
		ready <- err
		if err == nil {
			defer l.running.Done()
			r.recover()
			r.serve(l)
			r.call.Target.Close()
			if spare != nil {
				spare.release()
			}
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
	var last [maxReceivers + maxSpares]uint64
	for hung := 0; ; {
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
		if !stuck {
			hung = 0
			continue
		}
		added, err := l.addReceivers()
		if err != nil {
			slog.Error("all receivers are busy, and another could not be started", "err", err)
		} else if added > 0 {
			hung = 0
		} else if hung++; hung >= hungAfter {
			hung = 0
			l.worker.startAgain(l)
		}
	}
}

// manyReceivers is how many receivers are added at once when the listener's own slots are in use.
const manyReceivers = 16

// addReceivers adds receivers when all are stuck, and returns how many: one, or more if that has not
// helped often, as a file system does not answer that many tasks use.
func (l *listener) addReceivers() (added int, err error) {
	for n := 1; added < n; added++ {
		s, spare := l.freeSlot()
		if s == nil {
			break
		}
		if spare != nil {
			n = manyReceivers
		}
		if err := l.addReceiver(s, spare, nil); err != nil {
			if spare != nil {
				spare.release()
			}
			return added, err
		}
	}
	return added, nil
}

// freeSlot returns a slot for another receiver, as addReceiver expects it, or nil if there is none.
func (l *listener) freeSlot() (*slot, *spareSlot) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.own < len(l.slots) {
		return &l.slots[l.own], nil
	}
	if spare := l.worker.journal.takeSpare(l.index); spare != nil {
		return &spare.slot, spare
	}
	return nil, nil
}

// hungAfter is for how many ticks of watch all receivers must have been busy with the same calls
// before some of them are given up.
const hungAfter = int(2 * time.Second / stuckAfter)

// startAgain ends the worker, whose receivers are all stuck, if the target of one of them has been
// killed: a thread that waits for a file system that does not answer can only be ended together with
// its process. The next worker handles the calls of the targets that still wait.
func (w *worker) startAgain(l *listener) {
	l.mu.Lock()
	defer l.mu.Unlock()
	useless := 0
	for _, r := range l.receivers {
		if id := r.busy.Load(); id != 0 && !unotify.Waits(l.fd, id) {
			useless++
		}
	}
	if useless == 0 {
		return
	}
	slog.Warn("all threads wait for file systems that do not answer, some of them for tasks that have been killed; starting another worker",
		"container", w.cfg.ID, "threads", len(l.receivers), "killed", useless)
	for i := range w.journal.slots {
		w.journal.slots[i].attempts = 0 // the calls are not to blame
	}
	for i := range w.journal.spares {
		w.journal.spares[i].slot.attempts = 0
	}
	os.Exit(1)
}

// retire removes r from the receivers if it has a spare slot and others are idle, and reports whether
// it has: a notification wakes all idle receivers.
func (l *listener) retire(r *receiver) bool {
	if r.spare == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.ContainsFunc(l.receivers, func(other *receiver) bool { return other != r && other.busy.Load() == 0 }) {
		return false
	}
	l.receivers = slices.DeleteFunc(l.receivers, func(other *receiver) bool { return other == r })
	return true
}

// countBusy returns the number of busy receivers, and whether all of them are stuck:
// busy with the same notifications as in the previous call, which last holds.
func (l *listener) countBusy(last *[maxReceivers + maxSpares]uint64) (busy int, stuck bool) {
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

// occupied reports whether a receiver or the waiting room handles a call: it uses a slot.
func (l *listener) occupied() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	room := l.room.Load()
	return room != nil && room.receiver.busy.Load() != 0 ||
		slices.ContainsFunc(l.receivers, func(r *receiver) bool { return r.busy.Load() != 0 })
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
