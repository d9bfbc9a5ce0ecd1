package supervisor

import (
	"log/slog"
	"runtime"
	"testing"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/handlers"
	"github.com/rootless-containers/subuidless/internal/statistics"
	"github.com/rootless-containers/subuidless/internal/syscalls"
	"github.com/rootless-containers/subuidless/internal/unotify"
)

// unusedCall is the number of a system call that neither exists nor has a row.
const unusedCall = 511

// caught is a thread that makes one call and waits for the answer.
type caught struct {
	listener int
	slot     *slot // as of a worker that died right after it had received the notification
	answer   chan result
}

// result is the result that the thread sees.
type result struct {
	val int
	e   unix.Errno
}

// catch starts such a thread, and receives its notification.
func catch(t *testing.T) *caught {
	t.Helper()
	prog, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: 0, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unusedCall, SkipFalse: 1},
		bpf.RetConstant{Val: unix.SECCOMP_RET_USER_NOTIF},
		bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW},
	})
	if err != nil {
		t.Fatal(err)
	}
	c := &caught{slot: new(slot), answer: make(chan result, 1)}
	installed := make(chan error)
	go func() {
		runtime.LockOSThread() // the thread ends with the goroutine
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			installed <- err
			return
		}
		fd, err := unotify.Install(prog)
		c.listener = fd
		installed <- err
		if err == nil {
			v, _, e := unix.Syscall(unusedCall, 1, 2, 3)
			c.answer <- result{int(v), e}
		}
	}()
	if err := <-installed; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(c.listener) })
	for {
		c.slot.notif = unotify.Notif{}
		if e := unotify.Recv(c.listener, &c.slot.notif); e == 0 {
			return c
		} else if e != unix.EINTR && e != unix.ENOENT {
			t.Fatal(e)
		}
	}
}

// receiver returns a receiver with the slot.
func (c *caught) receiver() *receiver {
	w := &worker{dispatch: syscalls.NewDispatch(), counters: new(statistics.Counters), waiting: waitingCalls{calls: new([maxWaiting]waitingCall)}}
	r := &receiver{worker: w, listener: c.listener, slot: c.slot}
	r.call = handlers.Call{Notif: &c.slot.notif}
	return r
}

// recovered runs recover for the slot, and returns the result that the thread sees.
func (c *caught) recovered(t *testing.T) result {
	t.Helper()
	r := c.receiver()
	r.recover()
	if c.slot.notif.ID != 0 || c.slot.attempts != 0 {
		t.Errorf("the slot is not empty: notification %d, %d attempts", c.slot.notif.ID, c.slot.attempts)
	}
	select {
	case got := <-c.answer:
		return got
	case <-time.After(time.Minute):
		t.Fatal("the caller waits for ever")
		return result{}
	}
}

func discardLog(t *testing.T) {
	old := slog.Default()
	slog.SetDefault(slog.New(slog.DiscardHandler))
	t.Cleanup(func() { slog.SetDefault(old) })
}

// The next worker answers the notification that a dead worker has left.
func TestRecover(t *testing.T) {
	discardLog(t)
	handled := result{-1, unix.ENOSYS} // the answer to an unknown call
	for _, tt := range []struct {
		name string
		left func(*slot)
		want result
	}{
		{"no answer", func(*slot) {}, handled},
		{"an answer, not sent", func(s *slot) { s.resp = unotify.Resp{ID: s.notif.ID, Val: 42} }, result{42, 0}},
		{"an error, not sent", func(s *slot) { s.resp = unotify.Resp{ID: s.notif.ID, Error: -int32(unix.EPERM)} }, result{-1, unix.EPERM}},
		{"the answer to an earlier call", func(s *slot) { s.resp = unotify.Resp{ID: s.notif.ID - 1, Val: 42} }, handled},
		{"the last attempt", func(s *slot) { s.attempts = maxAttempts - 1 }, handled},
		{"one attempt too many", func(s *slot) { s.attempts = maxAttempts }, result{-1, unix.EIO}},
		{"too many, but there is an answer", func(s *slot) {
			s.attempts, s.resp = maxAttempts, unotify.Resp{ID: s.notif.ID, Val: 42}
		}, result{42, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := catch(t)
			tt.left(c.slot)
			if got := c.recovered(t); got != tt.want {
				t.Errorf("the caller sees %+v, want %+v", got, tt.want)
			}
		})
	}
}

// The dead worker has sent the answer and died before it could clear the slot.
func TestRecoverAnswered(t *testing.T) {
	c := catch(t)
	c.slot.resp = unotify.Resp{ID: c.slot.notif.ID, Val: 7}
	if e := unotify.Send(c.listener, &c.slot.resp); e != 0 {
		t.Fatal(e)
	}
	if got := c.recovered(t); got != (result{7, 0}) {
		t.Errorf("the caller sees %+v, want the first answer", got)
	}
}

// The dead worker has moved the call to the waiting room, and died before it could clear the slot.
// Only one of both handles it: each might receive a message, for example.
func TestRecoverWaiting(t *testing.T) {
	c := catch(t)
	r := c.receiver()
	id := c.slot.notif.ID
	r.worker.waiting.add(r.index, &c.slot.notif)
	r.recover()
	if c.slot.notif.ID != 0 || c.slot.resp.ID == id || !unotify.Waits(c.listener, id) {
		t.Errorf("the receiver has handled the call: %+v", *c.slot)
	}
	if e := unotify.Send(c.listener, &unotify.Resp{ID: id, Val: 7}); e != 0 {
		t.Fatal(e)
	}
	<-c.answer
}

func TestRecoverEmptySlot(t *testing.T) {
	s := &slot{resp: unotify.Resp{ID: 9, Val: 1}}
	(&receiver{listener: -1, slot: s}).recover()
	if *s != (slot{resp: unotify.Resp{ID: 9, Val: 1}}) {
		t.Errorf("an empty slot has become %+v", *s)
	}
}

// If a handler panics, the call fails with EIO.
func TestPanic(t *testing.T) {
	discardLog(t)
	fd, err := newJournal()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	j, err := mapJournal(fd)
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{worker: &worker{journal: j}, slot: new(slot)}
	r.call = handlers.Call{Notif: &r.slot.notif}
	// Without a Target, handlers panic.
	if got := r.handle(&syscalls.Row{Name: "boom"}, handlers.Chown); got != handlers.Errno(unix.EIO) {
		t.Errorf("%+v, want EIO", got)
	}
}
