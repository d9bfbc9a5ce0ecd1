package supervisor

import (
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/handlers"
	"github.com/rootless-containers/subuidless/internal/syscalls"
	"github.com/rootless-containers/subuidless/internal/target"
	"github.com/rootless-containers/subuidless/internal/unotify"
)

// receiver is a thread that receives and answers notifications of one listener.
type receiver struct {
	worker   *worker
	listener int
	index    int // of the listener
	slot     *slot
	policy   wakeUpPolicy
	adopted  adoptedRoot
	call     handlers.Call
	line     []byte        // scratch space for a line of the trace
	busy     atomic.Uint64 // id of the notification being answered, or 0
	caller   atomic.Uint32 // who has made it
	final    bool          // the call must not be made twice
	given    bool          // the caller has got a descriptor
	file     fileID        // of this file, if known
}

// newReceiver returns a receiver of l for the calling thread, which must be
// locked to its goroutine.
func (l *listener) newReceiver(s *slot) (*receiver, error) {
	t, err := target.Enter(l.worker.proc, l.view)
	if err != nil {
		return nil, err
	}
	r := &receiver{worker: l.worker, listener: l.fd, index: l.index, slot: s, policy: wakeUpPolicy{clock: time.Now}}
	r.call = handlers.Call{
		Notif: &s.notif, Intent: &s.intent, Previous: &s.previous, Target: t, Owners: l.worker.owners, Identities: l.worker.identities,
		Roots: &l.worker.roots, Devices: l.worker.devices, Listener: r,
		Protected: l.worker.protected, NoPermissions: l.worker.cfg.NoPermissions,
	}
	t.Guard = &r.call
	return r, nil
}

// Index implements handlers.Listener.
func (r *receiver) Index() int { return r.index }

// Waits implements handlers.Listener.
func (r *receiver) Waits() bool { return unotify.Waits(r.listener, r.slot.notif.ID) }

// AddFD implements handlers.Listener.
func (r *receiver) AddFD(fd int, closeOnExec bool) (int, unix.Errno) {
	return unotify.AddFD(r.listener, r.slot.notif.ID, fd, closeOnExec)
}

// recover answers the notification that a dead worker has left in the slot.
func (r *receiver) recover() {
	s := r.slot
	if s.notif.ID == 0 {
		return
	}
	r.busy.Store(s.notif.ID) // it may take long, as the first time
	if s.resp.ID != s.notif.ID {
		// The effects of a handler are the same when it runs again, so it does
		// not matter how far the dead worker had come. But if it keeps dying,
		// it dies of this call.
		r.call.Again, r.call.Before = true, processStart
		s.attempts++
		if s.attempts > maxAttempts {
			slog.Error("a system call made every worker crash; it fails with EIO: please report this as a bug",
				"pid", s.notif.PID, "nr", s.notif.Data.NR, "args", s.notif.Data.Args)
			s.resp = unotify.Resp{Error: -int32(unix.EIO), ID: s.notif.ID}
		}
	}
	if s.resp.ID != s.notif.ID {
		r.answer()
	} else {
		r.send()
	}
	r.call.Again = false
	s.attempts = 0
	s.notif = unotify.Notif{}
	r.busy.Store(0)
}

// maxAttempts is how many workers may die over one notification.
const maxAttempts = 20

// serve receives and answers until the listener hangs up.
func (r *receiver) serve(l *listener) {
	s := r.slot
	for {
		s.notif = unotify.Notif{}
		e := unotify.Recv(r.listener, &s.notif)
		if e != 0 {
			// ENOENT: the task was killed before it could be received, or all are
			// gone (Linux 6.11; before, RECV then blocks for ever, and the worker's
			// exit ends this thread). EINTR: a signal, from Go's own runtime.
			if e != unix.ENOENT && e != unix.EINTR {
				slog.Error("receiving from the seccomp listener failed", "err", e)
				return
			}
			if l.hungUp() {
				return
			}
			continue
		}
		l.busy(r)
		r.policy.received(s.notif.PID)
		if r.awaitFirst(l) && !r.resume() {
			r.answer()
		}
		r.call.Again = false
		r.busy.Store(0)
	}
}

// answer finds out the answer to the notification in the slot, and sends it.
func (r *receiver) answer() {
	if r.worker.trace != nil {
		r.answerTraced()
		return
	}
	row, handler := r.worker.dispatch.Lookup(r.call.Data.Arch, r.call.Data.NR)
	r.conclude(r.handle(row, handler))
}

// conclude sends the answer that a handler has found.
func (r *receiver) conclude(result handlers.Result) {
	r.final, r.given, r.file = result.Final, false, fileID{}
	if result.File {
		r.give(result)
		return
	}
	r.awaitInterruption() // before there is an answer, which the next worker would take for sent
	r.respond(result)
	r.send()
}

// give answers with a new descriptor. A worker that takes over between the two
// steps gives another one, and the caller has one too many.
func (r *receiver) give(result handlers.Result) {
	r.given = true
	r.awaitInterruption()
	n, e := r.AddFD(int(result.Val), result.CloseOnExec)
	unix.Close(int(result.Val))
	switch e {
	case 0:
		r.respond(handlers.Return(n))
	case unix.ENOENT, unix.ESRCH: // the task was killed or interrupted meanwhile
		r.interrupted(false)
		return
	default:
		r.respond(handlers.Errno(e))
	}
	r.send()
}

// answerTraced does the same, and writes a line about it.
func (r *receiver) answerTraced() {
	start := time.Now()
	row, handler := r.worker.dispatch.Lookup(r.call.Data.Arch, r.call.Data.NR)
	r.call.Target.Reset(r.call.PID)
	r.line = appendCall(r.line[:0], row, &r.call) // before the memory can change
	result := r.handle(row, handler)
	// Before the caller goes on: it may be its last call, and the supervisor
	// ends with it.
	r.line = appendResult(r.line, result, time.Since(start))
	r.worker.trace.write(r.line)
	r.conclude(result)
}

// handle calls the handler of a row.
func (r *receiver) handle(row *syscalls.Row, handler handlers.Handler) (result handlers.Result) {
	defer func() {
		if p := recover(); p != nil {
			slog.Error("a handler panicked; the call fails with EIO: please report this as a bug",
				"call", row.Name, "panic", p, "stack", string(debug.Stack()))
			result = handlers.Errno(unix.EIO)
		}
	}()
	if row == nil {
		return r.worker.unknown(r.call.Notif)
	}
	if !row.Notifies(&r.call.Data.Args) {
		return handlers.Continue
	}
	t := r.call.Target
	r.call.Begin()
	if r.worker.journal.rootsMayDiffer() {
		if e := r.adoptRoot(); e != 0 {
			return handlers.Errno(unix.EIO) // the task is gone, and nobody reads this
		}
	}
	result = handler(&r.call)
	if result.Errno != 0 && t.Uninspectable() {
		// The runtime itself, before it executes the container's program. It may
		// be non-dumpable, and its memory belongs to the host's user namespace.
		return handlers.Continue
	}
	return result
}

// adoptRoot takes on the root directory of the calling task.
func (r *receiver) adoptRoot() unix.Errno {
	roots, tid := &r.worker.roots, r.call.PID
	roots.called(tid)
	if roots.kept(r.adopted, tid) {
		return 0
	}
	now := adoptedRoot{tid, roots.changes.Load()}
	r.adopted = adoptedRoot{}
	e := r.call.Target.AdoptRoot()
	if e == 0 {
		r.adopted = now
	}
	return e
}

// respond puts the answer into the slot.
func (r *receiver) respond(result handlers.Result) {
	resp := unotify.Resp{Val: result.Val}
	switch {
	case result.Continue:
		resp.Flags = unotify.FlagContinue
	case result.Errno != 0:
		resp.Val, resp.Error = 0, -int32(result.Errno)
	}
	resp.ID = r.slot.notif.ID
	r.slot.resp = resp
}

func (r *receiver) send() {
	resp := &r.slot.resp
	switch e := r.policy.send(r.listener, resp); e {
	case 0, unix.EINPROGRESS: // a worker that then died has sent the answer
	case unix.ENOENT: // the task was killed or interrupted meanwhile
		if r.given {
			r.file = r.fileOf(resp.Val)
			r.final = r.file != fileID{}
		}
		r.interrupted(r.final && resp.Error == 0)
	default:
		slog.Error("answering a notification failed", "err", e, "pid", r.slot.notif.PID)
	}
}
