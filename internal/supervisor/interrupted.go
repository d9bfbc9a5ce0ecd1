package supervisor

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/handlers"
	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/sys"
	"github.com/rootless-containers/subuidless/internal/target"
	"github.com/rootless-containers/subuidless/internal/unotify"
)

// interruptedCall is a call whose effect has happened, or may have happened, but whose
// target has not received the answer, because a signal has interrupted it.
//
// seccomp_unotify(2): "In this scenario, the kernel will restart the target's system
// call. Consequently, the supervisor will receive another user-space notification."
// SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, which older runtimes do not set, prevents
// that once the notification has been received.
//
// The restarted call is handled like a notification that a dead worker has left: the
// handler uses what it has noted in the Intent.
type interruptedCall struct {
	data     unotify.Data    // see withoutUnusedArgs
	intent   handlers.Intent // ID is 0 if the handler has not noted anything
	previous uint32          // see handlers.Call.Previous
	final    bool            // the answer is val, for finalFor
	started  uint64          // start time of the target, see target.Task.StartTime
	until    int64           // the time of the interruption, in nanoseconds since 1970
	val      int64
	file     fileID // the file of the descriptor val that the target has received, if any
}

// fileID identifies a file. The zero value is no file.
type fileID struct{ dev, ino uint64 }

// finalFor is how long the answer to a call is kept whose effect must not happen twice.
// The kernel restarts a call as soon as the signal handler returns. But if the handler
// was installed without SA_RESTART, the call has failed with EINTR, and a later call
// with the same arguments is a new one.
const finalFor = 2 * time.Second

// maxInterrupted is how many interrupted calls are kept. The oldest ones are dropped,
// because some targets never repeat the call.
const maxInterrupted = 32

// interruptedTable is in the journal, because the calls may reach the next worker.
type interruptedTable struct {
	callers [maxInterrupted]atomic.Uint32 // thread ids of the targets; 0: free
	calls   [maxInterrupted]interruptedCall
}

// replays are the interrupted calls of a container. The package comment lists the
// threads that use each field.
type replays struct {
	seen atomic.Bool // a call has been interrupted
	mu   sync.Mutex
	all  *interruptedTable
}

// open makes i use the calls in the journal, which an earlier worker may have left.
func (i *replays) open(all *interruptedTable) {
	i.all = all
	for n := range all.callers {
		if all.callers[n].Load() != 0 {
			i.seen.Store(true)
		}
	}
}

// add stores a call of the task tid, in the place of the same call or of the oldest one.
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
			until = -1 // replace the same call
		}
		if until < age {
			place, age = n, until
		}
	}
	i.all.callers[place].Store(0)
	i.all.calls[place] = *call
	i.all.callers[place].Store(tid)
}

// take removes and returns the call of the task tid with the given data. Ok is false if
// there is none.
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

// has reports whether a call of the task tid is stored.
func (i *replays) has(tid uint32) bool {
	for n := range i.all.callers {
		if i.all.callers[n].Load() == tid {
			return true
		}
	}
	return false
}

// withoutUnusedArgs returns d with zeros for the registers that are not arguments of
// the call. They are the same when the kernel restarts a call, but may differ when a
// program repeats it after EINTR.
func (w *worker) withoutUnusedArgs(d unotify.Data) unotify.Data {
	row, _ := w.dispatch.Lookup(d.Arch, d.NR)
	if row != nil {
		clear(d.Args[len(row.Args):])
	}
	return d
}

// interrupted stores the call in the slot, whose target no longer waits for the answer.
// If final is true, the answer in the slot is kept, too.
func (r *receiver) interrupted(final bool) {
	s := r.slot
	r.worker.replays.seen.Store(true)
	if !final && s.intent.ID != s.notif.ID {
		return // the handler may run again from the beginning
	}
	started, e := r.call.Target.StartTime()
	if e != 0 {
		return // the target has been killed
	}
	call := interruptedCall{
		data: r.worker.withoutUnusedArgs(s.notif.Data), intent: s.intent, previous: s.previous,
		final: final, started: started, until: time.Now().UnixNano(), val: s.resp.Val, file: r.file,
	}
	if call.intent.ID != s.notif.ID {
		call.intent = handlers.Intent{}
	}
	r.worker.replays.add(s.notif.PID, &call)
}

// awaitFirstTry waits while another receiver, or that of the waiting room, handles a
// notification of the same target. That notification must have been interrupted, and the
// other receiver will store the call when it is done. The result is false if the
// notification in the slot is interrupted, too.
func (r *receiver) awaitFirstTry(l *listener) bool {
	if !l.multiple.Load() {
		return true
	}
	tries := 0
	for end := time.Now().Add(firstTryWait); l.isCallerBusy(r) && time.Now().Before(end); tries++ {
		if !r.Waits() {
			return false
		}
		// Most often the other receiver has just answered, and needs a moment to note that.
		if tries < firstTryYields {
			sys.SchedYield()
		} else {
			time.Sleep(firstTryWait / 1000)
		}
	}
	return true
}

// firstTryYields is how often awaitFirstTry yields the CPU before it sleeps.
const firstTryYields = 100

// firstTryWait is how long awaitFirstTry waits. A first try that is blocked in a FUSE
// file system may depend on the very receiver that waits.
const firstTryWait = 100 * time.Millisecond

// isCallerBusy reports whether a receiver other than r handles a notification of the
// same target.
func (l *listener) isCallerBusy(r *receiver) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	handles := func(other *receiver) bool {
		return other != r && other.caller.Load() == r.slot.notif.PID && other.busy.Load() != 0
	}
	room := l.room.Load()
	return slices.ContainsFunc(l.receivers, handles) || room != nil && handles(room.receiver)
}

// awaitInterruption waits until a target with a pending signal is interrupted, if it
// matters whether the target receives the answer.
//
// For a moment after a signal has woken the target, the kernel still accepts an answer
// that the target will not receive. SEND then succeeds, and the restarted call would
// not be recognized.
func (r *receiver) awaitInterruption() {
	s := r.slot
	if !r.worker.replays.seen.Load() || s.intent.ID != s.notif.ID && !r.final && !r.fdAdded {
		return
	}
	for end := time.Now().Add(interruptionWait); r.call.Target.Signalled() && r.Waits() && time.Now().Before(end); {
		time.Sleep(interruptionWait / 1000)
	}
}

// interruptionWait is much longer than it takes a task to run that has been woken.
const interruptionWait = 20 * time.Millisecond

// resume handles the case that the call in the slot has been interrupted before. It
// answers the call, if the answer is known, and returns true; or prepares r.call for
// the handler.
func (r *receiver) resume() (answered bool) {
	s, i := r.slot, &r.worker.replays
	if !i.seen.Load() || !i.has(s.notif.PID) {
		return false
	}
	call, ok := i.take(s.notif.PID, r.worker.withoutUnusedArgs(s.notif.Data))
	if !ok {
		return false
	}
	r.call.Target.Reset(s.notif.PID)
	if started, e := r.call.Target.StartTime(); e != 0 || started != call.started {
		return false
	}
	if call.final && time.Now().UnixNano()-call.until < int64(finalFor) && (call.file == fileID{} || call.file == r.fileOf(call.val)) {
		r.final, r.fdAdded, r.file = true, false, call.file
		r.awaitInterruption()
		r.respond(handlers.Result{Val: call.val})
		r.send()
		return true
	}
	if call.intent.ID != 0 {
		call.intent.ID = s.notif.ID
		// If the target has not restarted the call, but repeats it after EINTR, it may have
		// moved or removed the inodes itself.
		call.intent.Inode, call.intent.Done = owner.Inode{}, owner.Inode{}
		s.intent, s.previous = call.intent, call.previous
		r.call.Again, r.call.Before = true, call.until
	}
	return false
}

// fileOf returns the file of the target's descriptor fd, or no file on an error.
func (r *receiver) fileOf(fd int64) fileID {
	var st unix.Stat_t
	own, e := r.call.Target.OpenFD(int32(fd), &st)
	if e != 0 {
		return fileID{}
	}
	unix.Close(own)
	return fileID{st.Dev, st.Ino}
}

// saveInterrupted moves interrupted calls from the slots that a dead worker has left to
// w.replays. No handler must run for them now, because their targets may do something
// else already.
func (w *worker) saveInterrupted(listener int, slots []slot, t *target.Task) {
	for i := range slots {
		s := &slots[i]
		if s.notif.ID == 0 || unotify.Waits(listener, s.notif.ID) {
			continue
		}
		t.Reset(s.notif.PID)
		// An answer in the slot has probably been sent by the dead worker.
		answered := s.resp.ID == s.notif.ID
		if started, e := t.StartTime(); e == 0 && s.intent.ID == s.notif.ID && !answered {
			w.replays.add(s.notif.PID, &interruptedCall{
				data: w.withoutUnusedArgs(s.notif.Data), intent: s.intent, previous: s.previous, started: started, until: processStart,
			})
		}
		s.notif, s.attempts = unotify.Notif{}, 0
	}
}
