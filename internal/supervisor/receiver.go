package supervisor

import (
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/accelerate"
	"github.com/rootless-containers/subuidless/internal/handlers"
	"github.com/rootless-containers/subuidless/internal/syscalls"
	"github.com/rootless-containers/subuidless/internal/target"
	"github.com/rootless-containers/subuidless/internal/unotify"
)

// receiver is a thread that receives and answers notifications of one listener. Its
// fields belong to that thread, except for the atomic ones.
type receiver struct {
	worker   *worker
	of       *listener
	listener int
	index    int // of the listener, in the container
	slot     *slot
	spare    *spareSlot   // whose slot that is; nil: it is one of the listener's own
	wakeUp   wakeUpPolicy // how it wakes targets
	root     adoptedRoot  // the root directory that the thread has now
	call     handlers.Call
	injector *accelerate.Injector // nil: processes are not accelerated
	line     []byte               // scratch space for a line of the trace
	timeIn   uint32               // notifications until the next one that is timed
	busy     atomic.Uint64        // id of the notification in progress, or 0
	caller   atomic.Uint32        // thread id of its target
	final    bool                 // Result.Final: the effect must not happen twice
	fdAdded  bool                 // the target has received a new descriptor
	file     fileID               // the file of that descriptor, if known
}

// newReceiver returns a receiver of l that uses the slot s, for the calling thread. The
// caller must have locked its goroutine to the thread, and holds l.mu.
func (l *listener) newReceiver(s *slot) (*receiver, error) {
	t, err := target.Enter(l.worker.proc, l.view)
	if err != nil {
		return nil, err
	}
	r := &receiver{worker: l.worker, of: l, listener: l.fd, index: l.index, slot: s, wakeUp: wakeUpPolicy{clock: time.Now}}
	r.call = handlers.Call{
		Notif: &s.notif, Intent: &s.intent, Previous: &s.previous, Target: t, Owners: l.worker.owners, Identities: l.worker.identities, IPC: l.worker.ipc, Sockets: l.worker.sockets,
		Roots: &l.worker.roots, Devices: l.worker.devices, Listener: r,
		Protected: l.worker.protected, NoPermissions: l.worker.cfg.NoPermissions, Maps: &l.worker.maps, Mounts: &l.worker.mounts,
		Network: &l.worker.network, ShowMaps: l.worker.cfg.Session != nil,
	}
	t.Guard = &r.call
	// Nothing has been answered before the first receiver: the records are those of a dead worker.
	l.worker.adoptIPC.Do(func() {
		if l.worker.ipc.InUse() {
			r.call.AdoptIPC()
		}
	})
	if a := l.worker.acceleration; a != nil {
		r.injector = a.NewInjector()
	}
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

// recover answers the notification that a dead worker has left in the slot, if any.
func (r *receiver) recover() {
	s := r.slot
	if s.notif.ID == 0 {
		return
	}
	if r.worker.waiting.has(r.index, s.notif.ID) { // the dead worker has just moved it to the waiting room
		s.notif, s.attempts = unotify.Notif{}, 0
		return
	}
	r.busy.Store(s.notif.ID) // it may block, as in the dead worker
	if s.resp.ID != s.notif.ID {
		// A handler that runs again has the same effect, however far the dead worker had
		// got. But if many workers die, this call is the cause.
		r.call.Again, r.call.Before = true, processStart
		s.attempts++
		if s.attempts > maxAttempts {
			slog.Error("workers keep crashing while they handle this system call; it fails with EIO; please report this bug",
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

// maxAttempts is how many workers may die while they handle a notification.
const maxAttempts = 20

// serve receives and answers notifications until the listener hangs up.
func (r *receiver) serve(l *listener) {
	s := r.slot
	for {
		s.notif = unotify.Notif{}
		e := unotify.Recv(r.listener, &s.notif)
		if e != 0 {
			// ENOENT: the target was killed or interrupted before RECV returned, or no
			// task is left (Linux 6.11; before, RECV then blocks until the worker exits).
			// EINTR: a signal of the Go runtime.
			if e != unix.ENOENT && e != unix.EINTR {
				slog.Error("cannot receive notifications from the seccomp listener", "err", e)
				return
			}
			if unotify.HungUp(l.fd) {
				return
			}
			continue
		}
		l.setBusy(r)
		r.wakeUp.received(s.notif.PID)
		if r.awaitFirstTry(l) && !r.resume() {
			r.answer()
		}
		r.call.Again = false
		r.busy.Store(0)
		if l.retire(r) {
			s.notif = unotify.Notif{}
			return
		}
	}
}

// answer calls the handler for the notification in the slot, and sends the answer.
func (r *receiver) answer() {
	if r.worker.trace != nil {
		r.answerTraced()
		return
	}
	start := r.startTimer()
	row, handler := r.worker.dispatch.Lookup(r.call.Data.Arch, r.call.Data.NR)
	result := r.handle(row, handler)
	if result.Wait == 0 {
		r.count(result, start.elapsed())
	}
	r.reply(result)
}

// reply answers the notification in the slot with the result of its handler.
func (r *receiver) reply(result handlers.Result) {
	r.final, r.fdAdded, r.file = result.Final, false, fileID{}
	if result.Wait != 0 {
		r.of.waitFor(r, result)
		return
	}
	if result.File {
		r.replyFD(result)
		return
	}
	r.awaitInterruption() // before the answer is in the slot: the next worker would assume that it has been sent
	r.respond(result)
	r.send()
}

// replyFD answers with a new descriptor, in two steps: see unotify.AddFD. If the worker
// dies between them, the next one adds another descriptor, and the target has one that
// it does not know of.
func (r *receiver) replyFD(result handlers.Result) {
	r.fdAdded = true
	r.awaitInterruption()
	n, e := r.AddFD(int(result.Val), result.CloseOnExec)
	unix.Close(int(result.Val))
	switch e {
	case 0:
		r.respond(handlers.Return(n))
	case unix.ENOENT, unix.ESRCH: // the target has been killed or interrupted
		r.interrupted(false)
		return
	default:
		r.respond(handlers.Errno(e))
	}
	r.send()
}

// answerTraced is answer, and writes a line to the trace.
func (r *receiver) answerTraced() {
	start := time.Now()
	row, handler := r.worker.dispatch.Lookup(r.call.Data.Arch, r.call.Data.NR)
	r.call.Target.Reset(r.call.PID)
	r.line = appendCall(r.line[:0], row, &r.call) // before the target's memory can change
	result := r.handle(row, handler)
	// Before the answer: this may be the last call of the last task, after which the
	// worker exits.
	if result.Wait == 0 {
		elapsed := time.Since(start)
		r.count(result, elapsed)
		r.line = appendResult(r.line, result, elapsed)
		r.worker.trace.write(r.line)
	}
	r.reply(result)
}

// handle calls the handler of a row, which is nil for an unknown call.
func (r *receiver) handle(row *syscalls.Row, handler handlers.Handler) (result handlers.Result) {
	defer func() {
		if p := recover(); p != nil {
			slog.Error("a handler panicked; the system call fails with EIO; please report this bug",
				"call", row.Name, "panic", p, "stack", string(debug.Stack()))
			result = handlers.Errno(unix.EIO)
		}
	}()
	if row == nil {
		return r.worker.unknown(r.call.Notif)
	}
	if r.injector != nil {
		if result, done := r.accelerate(); done {
			return result
		}
	}
	if !row.Notifies(&r.call.Data.Args) {
		return handlers.Continue
	}
	t := r.call.Target
	r.call.Begin()
	if r.worker.journal.rootsMayDiffer() {
		if e := r.adoptRoot(); e != 0 {
			return handlers.Errno(unix.EIO) // the target has exited: nobody receives this
		}
	}
	r.call.Settle()
	if row.Serve != nil && r.call.Serves() {
		handler = row.Serve
	}
	result = handler(&r.call)
	if result.Errno != 0 && t.Uninspectable() {
		// This is the runtime, before it executes the container's program. If it is not
		// dumpable, its memory is accessible only from the host's user namespace.
		return handlers.Continue
	}
	return result
}

// adoptRoot switches this thread to the root directory of the target, unless it is known
// to be the same.
func (r *receiver) adoptRoot() unix.Errno {
	roots, tid := &r.worker.roots, r.call.PID
	changed := roots.called(tid)
	if roots.kept(r.root, tid) {
		return 0
	}
	now := adoptedRoot{tid, roots.changes.Load()}
	r.root = adoptedRoot{}
	e := r.call.Target.AdoptRoot()
	if e == 0 {
		r.root = now
		if changed {
			handlers.LookForDevices(r.worker.owners, "/")
		}
	}
	return e
}

// respond writes the answer to the slot.
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

// send sends the answer in the slot.
func (r *receiver) send() {
	resp := &r.slot.resp
	switch e := r.wakeUp.send(r.listener, resp); e {
	case 0, unix.EINPROGRESS: // EINPROGRESS: a worker that died then has sent the answer
	case unix.ENOENT: // the target has been killed or interrupted
		if r.fdAdded {
			r.file = r.fileOf(resp.Val)
			r.final = r.file != fileID{}
		}
		r.interrupted(r.final && resp.Error == 0)
	default:
		slog.Error("cannot answer a notification", "err", e, "pid", r.slot.notif.PID)
	}
}
