package supervisor

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/handlers"
	"github.com/rootless-containers/subuidless/internal/target"
	"github.com/rootless-containers/subuidless/internal/unotify"
)

// interruptedCall is a call of which the effect has happened, or may have, and of
// which the caller does not know: a signal has interrupted it before the answer.
//
// seccomp_unotify(2): "In this scenario, the kernel will restart the target's system
// call. Consequently, the supervisor will receive another user-space notification."
// SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, which older runtimes do not set, prevents
// that once the call has been received.
//
// The call that comes back is answered as one over which a worker has died: with what
// its handler has noted in its Intent.
type interruptedCall struct {
	data     unotify.Data    // see arguments
	intent   handlers.Intent // ID is 0 if the handler has noted nothing
	previous uint32          // see handlers.Call
	final    bool            // val is the answer, for a while
	started  uint64          // when the caller was, see target.Started
	until    int64           // when it was interrupted, in nanoseconds
	val      int64
	file     fileID // that the caller has got as its descriptor val, if any
}

// fileID tells files apart. The zero value is none.
type fileID struct{ dev, ino uint64 }

// finalFor is how long an answer is kept for a call that must not be made twice. The
// kernel restarts a call as soon as the signal's handler returns. But if the handler
// has no SA_RESTART, the call has failed with EINTR, and what comes later is not it.
const finalFor = 2 * time.Second

// maxInterrupted is how many interrupted calls are kept. Those of which the caller
// never comes back make room for others.
const maxInterrupted = 32

// interruptedTable are in the journal: the callers come back to the next worker, too.
type interruptedTable struct {
	callers [maxInterrupted]atomic.Uint32 // thread ids; 0: free
	calls   [maxInterrupted]interruptedCall
}

// replays are the interrupted calls of a container.
type replays struct {
	seen atomic.Bool // there has been one
	mu   sync.Mutex
	all  *interruptedTable
}

// open takes on the calls that an earlier worker has left.
func (i *replays) open(all *interruptedTable) {
	i.all = all
	for n := range all.callers {
		if all.callers[n].Load() != 0 {
			i.seen.Store(true)
		}
	}
}

// add keeps a call of the task tid.
func (i *replays) add(tid uint32, call *interruptedCall) {
	i.seen.Store(true)
	i.mu.Lock()
	defer i.mu.Unlock()
	place, age := 0, int64(math.MaxInt64)
	for n := range i.all.calls {
		caller, c := i.all.callers[n].Load(), &i.all.calls[n]
		until := c.until
		if caller == 0 {
			until = 0
		}
		if caller == tid && c.data == call.data {
			until = -1 // there must be one only
		}
		if until < age {
			place, age = n, until
		}
	}
	i.all.callers[place].Store(0)
	i.all.calls[place] = *call
	i.all.callers[place].Store(tid)
}

// take returns and forgets the call of the task tid with these arguments.
func (i *replays) take(tid uint32, data unotify.Data) (call interruptedCall, ok bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for n := range i.all.calls {
		if i.all.callers[n].Load() == tid && i.all.calls[n].data == data {
			i.all.callers[n].Store(0)
			return i.all.calls[n], true
		}
	}
	return call, false
}

// has tells whether a call of the task tid is kept.
func (i *replays) has(tid uint32) bool {
	for n := range i.all.callers {
		if i.all.callers[n].Load() == tid {
			return true
		}
	}
	return false
}

// arguments returns d without what is in the registers of arguments that the call does
// not have. The kernel restarts a call with the same, but a program that makes it
// again after EINTR need not have them.
func (w *worker) arguments(d unotify.Data) unotify.Data {
	row, _ := w.dispatch.Lookup(d.Arch, d.NR)
	if row != nil {
		clear(d.Args[len(row.Args):])
	}
	return d
}

// interrupted takes note that the caller of the notification in the slot does not
// wait for the answer any more, which is final or not.
func (r *receiver) interrupted(final bool) {
	s := r.slot
	r.worker.replays.seen.Store(true)
	if !final && s.intent.ID != s.notif.ID {
		return // the handler may run again
	}
	started, e := r.call.Target.StartTime()
	if e != 0 {
		return // the caller has been killed
	}
	call := interruptedCall{
		data: r.worker.arguments(s.notif.Data), intent: s.intent, previous: s.previous,
		final: final, started: started, until: time.Now().UnixNano(), val: s.resp.Val, file: r.file,
	}
	if call.intent.ID != s.notif.ID {
		call.intent = handlers.Intent{}
	}
	r.worker.replays.add(s.notif.PID, &call)
}

// awaitFirst waits while another receiver still works on a call of the same caller. Then
// that one has been interrupted, and what became of it is known when the other is done.
// The result is false if this one is interrupted meanwhile: it comes back, too.
func (r *receiver) awaitFirst(l *listener) bool {
	if !l.several.Load() {
		return true
	}
	for end := time.Now().Add(firstWait); l.answers(r) && time.Now().Before(end); {
		if !r.Waits() {
			return false
		}
		time.Sleep(firstWait / 1000)
	}
	return true
}

// firstWait is how long a call waits for its own first try. One that is blocked in a
// file system may need the very receiver that waits.
const firstWait = 100 * time.Millisecond

// answers tells whether another receiver than r is busy with a call of the same caller.
func (l *listener) answers(r *receiver) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, other := range l.receivers {
		if other != r && other.caller.Load() == r.slot.notif.PID && other.busy.Load() != 0 {
			return true
		}
	}
	return false
}

// awaitInterruption waits for the interruption of a caller that a signal waits for, if it matters
// whether the caller gets the answer.
//
// For a moment after the signal has woken the caller, the kernel still takes an answer,
// but the caller does not. Then SEND succeeds, and the call comes back unknown.
func (r *receiver) awaitInterruption() {
	s := r.slot
	if !r.worker.replays.seen.Load() || s.intent.ID != s.notif.ID && !r.final && !r.given {
		return
	}
	for end := time.Now().Add(interruptionWait); r.call.Target.Signalled() && r.Waits() && time.Now().Before(end); {
		time.Sleep(interruptionWait / 1000)
	}
}

// interruptionWait is much more than a task that has been woken takes to run.
const interruptionWait = 20 * time.Millisecond

// resume tells the handler what is known of the call in the slot, if the kernel has
// restarted it, or answers it, and then returns true.
func (r *receiver) resume() (answered bool) {
	s, i := r.slot, &r.worker.replays
	if !i.seen.Load() || !i.has(s.notif.PID) {
		return false
	}
	call, ok := i.take(s.notif.PID, r.worker.arguments(s.notif.Data))
	if !ok {
		return false
	}
	r.call.Target.Reset(s.notif.PID)
	if started, e := r.call.Target.StartTime(); e != 0 || started != call.started {
		return false
	}
	if call.final && time.Now().UnixNano()-call.until < int64(finalFor) && (call.file == fileID{} || call.file == r.fileOf(call.val)) {
		r.final, r.given, r.file = true, false, call.file
		r.awaitInterruption()
		r.respond(handlers.Result{Val: call.val})
		r.send()
		return true
	}
	if call.intent.ID != 0 {
		call.intent.ID = s.notif.ID
		s.intent, s.previous = call.intent, call.previous
		r.call.Again, r.call.Before = true, call.until
	}
	return false
}

// fileOf returns the file of the caller's descriptor fd.
func (r *receiver) fileOf(fd int64) fileID {
	var st unix.Stat_t
	own, e := r.call.Target.OpenFD(int32(fd), &st)
	if e != 0 {
		return fileID{}
	}
	unix.Close(own)
	return fileID{st.Dev, st.Ino}
}

// sortOut takes the interrupted calls out of the slots that a dead worker has left:
// their callers may be at something else by now, so no handler must run for them.
func (w *worker) sortOut(listener int, slots []slot, t *target.Task) {
	for i := range slots {
		s := &slots[i]
		if s.notif.ID == 0 || unotify.Waits(listener, s.notif.ID) {
			continue
		}
		t.Reset(s.notif.PID)
		// If there is an answer, the dead worker has most likely sent it.
		answered := s.resp.ID == s.notif.ID
		if started, e := t.StartTime(); e == 0 && s.intent.ID == s.notif.ID && !answered {
			w.replays.add(s.notif.PID, &interruptedCall{
				data: w.arguments(s.notif.Data), intent: s.intent, previous: s.previous, started: started, until: processStart,
			})
		}
		s.notif, s.attempts = unotify.Notif{}, 0
	}
}
