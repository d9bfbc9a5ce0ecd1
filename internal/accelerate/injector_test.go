package accelerate

import (
	"os"
	"runtime"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

func injector(t *testing.T, after uint32) *Injector {
	t.Helper()
	a := &Accelerator{code: -1, header: *header(t), after: after, sharing: new(atomic.Uint32)}
	return a.NewInjector()
}

// caller is a Caller that waits, or not.
type caller bool

func (c caller) Waits() bool     { return bool(c) }
func (c caller) IsInitial() bool { return true }

// A process that does not wait any more may have left its number to another one.
func TestGone(t *testing.T) {
	t.Chdir("/proc")
	i := injector(t, 1)
	pid := uint32(os.Getpid())
	for waits, want := range map[caller]error{true: nil, false: errGone} {
		p, err := i.open(&Call{Caller: waits, PID: pid})
		if err != want {
			t.Errorf("waits: %v: %v", waits, err)
		}
		if err == nil {
			p.close()
		}
	}
}

// Most notifications only count a call.
func TestCountingAllocatesNothing(t *testing.T) {
	i := injector(t, 1<<30)
	pid := uint32(os.Getpid())
	if n := testing.AllocsPerRun(1000, func() {
		for ip := range uint64(8) {
			i.Counts(&Call{PID: pid, NR: 262, After: 0x1000 + ip})
		}
		i.Executes(pid)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestRepeats(t *testing.T) {
	for _, tt := range []struct {
		name  string
		calls []uint64
		from  uint32
		delay uint32
		want  int // the call from which on it is time; 0: never
	}{
		{"the same call site", []uint64{1, 1, 1, 1, 1}, 3, 0, 3},
		{"at once, but not at the first call", []uint64{1, 1, 1}, 1, 0, 2},
		{"different call sites", []uint64{1, 2, 3, 4, 5, 6, 7, 8}, 3, 0, 0},
		{"in turns", []uint64{1, 2, 3, 1, 2, 3}, 2, 0, 4},
		{"after failures", []uint64{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 2, 2, 8},
	} {
		h := hint{delay: tt.delay}
		got := 0
		for n, ip := range tt.calls {
			if h.repeats(ip, tt.from) && got == 0 {
				got = n + 1
			}
		}
		if got != tt.want {
			t.Errorf("%s: at call %d, want %d", tt.name, got, tt.want)
		}
	}
}

// A hint is about one process, until it executes another program.
func TestHints(t *testing.T) {
	i := injector(t, 1<<30)
	i.hint(7).calls = 5
	if i.hint(7).calls != 5 {
		t.Error("forgets")
	}
	if i.hint(7+uint32(len(i.hints))).calls != 0 {
		t.Error("mixes processes up")
	}
	other := i.NewInjector()
	pid := uint32(os.Getpid())
	i.hint(pid).calls = 5
	other.Executes(pid)
	if i.hint(pid).calls != 0 {
		t.Error("remembers the program before")
	}
	for range 2 * maxDelay {
		i.hint(7).wait()
	}
	if h := i.hint(7); h.delay != maxDelay || h.pid != 7 {
		t.Errorf("%+v", h)
	}
}

// A thread executes a program in place of its process. What the process does meanwhile is
// forgotten as soon as the thread is no longer there.
func TestThreadExecutes(t *testing.T) {
	t.Chdir("/proc")
	i := injector(t, 1)
	call := &Call{PID: uint32(os.Getpid()), NR: 262, After: 0x1000}
	f, ok := executable(call.PID)
	if !ok || i.programs.begins(f) { // the first process of a Go program would get the code at once
		t.Fatalf("%v, %v", f, ok)
	}
	i.hint(call.PID).delay = maxDelay
	tids, end := make(chan uint32), make(chan struct{})
	for range 2 { // one of them may be the first thread, which outlives its goroutine
		go func() {
			runtime.LockOSThread() // the thread ends with the goroutine
			tids <- uint32(unix.Gettid())
			<-end
		}()
	}
	tid, other := <-tids, <-tids
	if tid == call.PID {
		tid = other
	}
	i.Executes(tid)
	if i.hint(call.PID).delay != 0 {
		t.Error("remembers the program before")
	}
	i.hint(call.PID).delay = maxDelay
	i.Counts(call)
	if h := i.hint(call.PID); h.calls != 0 || h.delay != maxDelay {
		t.Errorf("counts calls of the program before: %+v", h)
	}
	close(end)
	for i.execution(call.PID).pending(call.PID) {
	}
	i.Counts(call)
	if h := i.hint(call.PID); h.calls != 1 || h.delay != 0 {
		t.Errorf("does not count calls of the program: %+v", h)
	}
}
