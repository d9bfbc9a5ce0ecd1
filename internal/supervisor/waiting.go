package supervisor

import (
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/handlers"
	"github.com/rootless-containers/subuidless/internal/unotify"
)

// A call that has to wait for a socket must not occupy a receiver. It moves to the waiting room of
// its listener: one thread that polls the sockets of all calls there, and runs the handler of each
// again when its socket is ready.

// waitingCall is a notification in a waiting room. It is in the journal, so that the next worker
// runs its handler if this one dies.
type waitingCall struct {
	taken    atomic.Uint32 // 1 + the index of its listener; 0: free, and the rest means nothing
	attempts uint32        // the number of workers that have died in its handler, at most
	notif    unotify.Notif
}

// maxWaiting is how many calls of one container may wait at the same time.
const maxWaiting = 256

// waitingCalls are those of all listeners.
type waitingCalls struct {
	mu    sync.Mutex
	calls *[maxWaiting]waitingCall
}

// add stores a notification, and returns its place. It is nil if there is no room.
func (w *waitingCalls) add(index int, n *unotify.Notif) *waitingCall {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.calls {
		if c := &w.calls[i]; c.taken.Load() == 0 {
			c.notif, c.attempts = *n, 0
			c.taken.Store(uint32(index) + 1)
			return c
		}
	}
	return nil
}

// remove frees a place.
func (w *waitingCalls) remove(c *waitingCall) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c.taken.Store(0)
}

// of returns the calls of a listener.
func (w *waitingCalls) of(index int) (calls []*waitingCall) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.calls {
		if w.calls[i].taken.Load() == uint32(index)+1 {
			calls = append(calls, &w.calls[i])
		}
	}
	return calls
}

// has reports whether a notification of a listener waits.
func (w *waitingCalls) has(index int, id uint64) bool {
	return slices.ContainsFunc(w.of(index), func(c *waitingCall) bool { return c.notif.ID == id })
}

// any reports whether a dead worker has left waiting calls of a listener.
func (w *waitingCalls) any(index int) bool { return len(w.of(index)) != 0 }

// waitingRoom is the thread that waits for the calls of a listener. Its fields belong to that
// thread, except for the channel.
type waitingRoom struct {
	receiver *receiver
	slot     slot
	wake     int          // eventfd that interrupts poll(2)
	entering chan waiting // calls that receivers send here
	present  []waiting
	polled   []unix.PollFd
	looked   time.Time // when the callers have been looked at
	staying  *waiting  // what the handler that has just run waits for; nil: it has answered
}

// waiting is a call in a waiting room.
type waiting struct {
	call     *waitingCall
	socket   int       // our descriptor; -1: run the handler now
	events   int16     // of poll(2)
	deadline time.Time // zero: none
	// resting means that the socket was ready, and the handler had to wait nevertheless: for the
	// next tick instead, because poll(2) would return at once.
	resting bool
}

// waitingTick is how often the room looks whether a caller has been killed, or has a signal to
// handle: neither wakes poll(2). seccomp(2), SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: "only fatal
// signals" interrupt the caller.
const waitingTick = 30 * time.Millisecond

// errRestart is ERESTARTSYS of <linux/errno.h>: the kernel restarts the call after the signal
// handler, or makes it fail with EINTR, as the handler's SA_RESTART says. Without a pending signal
// the program would see it.
const errRestart = unix.Errno(512)

// waitFor moves the notification of r, whose handler has returned result, to the waiting room. If
// there is no place, the kernel executes the call, and the program sees the ids that the kernel
// knows.
func (l *listener) waitFor(r *receiver, result handlers.Result) {
	next := waiting{socket: int(result.Val), events: result.Wait}
	if result.Timeout > 0 {
		next.deadline = time.Now().Add(result.Timeout)
	}
	room := l.room.Load()
	if room != nil && room.receiver == r {
		room.stay(next)
		return
	}
	if room == nil {
		if err := l.openRoom(); err != nil {
			slog.Error("a call has to wait, and no thread can wait for it", "err", err)
		}
		room = l.room.Load()
	}
	if room != nil {
		next.call = l.worker.waiting.add(l.index, &r.slot.notif)
	}
	if next.call == nil {
		unix.Close(next.socket)
		r.reply(handlers.Continue)
		return
	}
	room.entering <- next
	room.interrupt()
}

// interrupt makes the room's thread look at what has changed.
func (w *waitingRoom) interrupt() {
	one := [8]byte{1}
	for {
		if _, err := unix.Write(w.wake, one[:]); err != unix.EINTR {
			return
		}
	}
}

// openRoom starts the waiting room of l, unless it is open already, with the calls that a dead
// worker has left.
func (l *listener) openRoom() error {
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // see addReceiver
		room, err := l.newRoom()
		ready <- err
		if room != nil {
			defer l.running.Done()
			room.serve(l)
		}
	}()
	if err := <-ready; err != nil {
		return fmt.Errorf("cannot start a thread for calls that wait: %w", err)
	}
	return nil
}

// newRoom returns the waiting room of l for the calling thread, or nil if there is one already.
func (l *listener) newRoom() (*waitingRoom, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.room.Load() != nil {
		return nil, nil
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	room := &waitingRoom{wake: wake, entering: make(chan waiting, maxWaiting)}
	if room.receiver, err = l.newReceiver(&room.slot); err != nil {
		unix.Close(wake)
		return nil, err
	}
	for _, c := range l.worker.waiting.of(l.index) {
		room.present = append(room.present, waiting{call: c, socket: -1})
	}
	l.running.Add(1)
	l.multiple.Store(true)
	l.room.Store(room)
	return room, nil
}

// serve waits for the calls in the room until the listener hangs up.
func (w *waitingRoom) serve(l *listener) {
	for !unotify.HungUp(l.fd) {
		tick := time.Since(w.looked) >= waitingTick
		if tick {
			w.looked = time.Now()
		}
		for i := 0; i < len(w.present); {
			if w.stays(&w.present[i], tick) {
				i++
				continue
			}
			l.worker.waiting.remove(w.present[i].call)
			w.present[i] = w.present[len(w.present)-1]
			w.present = w.present[:len(w.present)-1]
		}
		w.poll(l)
	}
	w.receiver.call.Target.Close()
}

// close frees what belongs to calls whose callers have ended. Its listener has hung up, and no
// receiver of that is left, which could still send a call.
func (w *waitingRoom) close(calls *waitingCalls) {
	close(w.entering)
	for c := range w.entering {
		w.present = append(w.present, c)
	}
	for _, c := range w.present {
		if c.socket >= 0 {
			unix.Close(c.socket)
		}
		calls.remove(c.call)
	}
	unix.Close(w.wake)
}

// stays runs the handler of a call whose socket is ready, or looks at the caller if it is time to,
// and reports whether the call stays in the room.
func (w *waitingRoom) stays(c *waiting, tick bool) bool {
	if c.socket >= 0 && !tick {
		return true
	}
	w.slot = slot{notif: c.call.notif}
	// Before the question whether the caller waits: if it is interrupted, awaitFirstTry keeps a
	// receiver from handling the restarted call before this one is done.
	w.receiver.caller.Store(w.slot.notif.PID)
	w.receiver.busy.Store(w.slot.notif.ID)
	defer w.receiver.busy.Store(0)
	gone := !w.receiver.Waits()
	if c.socket < 0 {
		return !gone && w.runAgain(c)
	}
	if !gone && !w.interrupts(c) {
		return true
	}
	unix.Close(c.socket)
	return false
}

// poll waits until a socket is ready, a call enters, the listener hangs up, or it is time to look
// at the callers.
func (w *waitingRoom) poll(l *listener) {
	w.polled = append(w.polled[:0], unix.PollFd{Fd: int32(w.wake), Events: unix.POLLIN}, unix.PollFd{Fd: int32(l.fd)})
	timeout := -1
	for i := range w.present {
		timeout = int(waitingTick / time.Millisecond)
		p := unix.PollFd{Fd: int32(w.present[i].socket), Events: w.present[i].events}
		if w.present[i].resting {
			p.Fd = -1 // ignored
		}
		w.polled = append(w.polled, p)
	}
	if _, err := unix.Poll(w.polled, timeout); err != nil {
		return // EINTR
	}
	for i := range w.present {
		c := &w.present[i]
		if c.resting || w.polled[2+i].Revents != 0 {
			c.resting = !c.resting
			unix.Close(c.socket)
			c.socket = -1
		}
	}
	if w.polled[0].Revents == 0 {
		return
	}
	var b [8]byte
	_, _ = unix.Read(w.wake, b[:])
	for {
		select {
		case c := <-w.entering:
			w.present = append(w.present, c)
		default:
			return
		}
	}
}

// interrupts ends the wait of a caller that has a signal to handle, or whose time is up.
func (w *waitingRoom) interrupts(c *waiting) bool {
	r := w.receiver
	r.call.Target.Reset(w.slot.notif.PID)
	var e unix.Errno
	switch signalled, own := r.call.Target.PendingSignal(); {
	case signalled && own && c.deadline.IsZero():
		e = errRestart
	case signalled: // signal(7): with a timeout, the call always fails with EINTR
		e = unix.EINTR
	case !c.deadline.IsZero() && time.Now().After(c.deadline):
		e = unix.EAGAIN
	default:
		return false
	}
	r.reply(handlers.Errno(e))
	return true
}

// runAgain runs the handler of a call, and reports whether the call has to wait again.
func (w *waitingRoom) runAgain(c *waiting) (waits bool) {
	if c.call.attempts++; c.call.attempts > maxAttempts {
		w.receiver.reply(handlers.Errno(unix.EIO)) // see recover
		return false
	}
	w.staying = nil
	w.receiver.answer()
	if w.staying == nil {
		return false
	}
	c.call.attempts = 0
	c.socket, c.events = w.staying.socket, w.staying.events
	if c.deadline.IsZero() { // after the death of a worker
		c.deadline = w.staying.deadline
	}
	return true
}

// stay notes that the handler that runs has to wait again.
func (w *waitingRoom) stay(next waiting) { w.staying = &next }
