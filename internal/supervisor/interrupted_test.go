package supervisor

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/handlers"
	"github.com/rootless-containers/subuidless/internal/statistics"
	"github.com/rootless-containers/subuidless/internal/syscalls"
	"github.com/rootless-containers/subuidless/internal/unotify"
)

func callOf(nr int32, first uint64) unotify.Data {
	return unotify.Data{NR: nr, Arch: unix.AUDIT_ARCH_X86_64, IP: 4711, Args: [6]uint64{first, 2, 3, 4, 5, 6}}
}

// A call is found by its target and arguments, and only once.
func TestInterruptionsTake(t *testing.T) {
	old, fresh := newTestJournal(t)
	before, after := replays{all: &old.interrupted}, replays{all: &fresh.interrupted}
	if before.has(10) {
		t.Error("a call at the start")
	}
	before.add(10, &interruptedCall{data: callOf(83, 1), val: 1, until: 1})
	before.add(10, &interruptedCall{data: callOf(83, 2), val: 2, until: 2})
	before.add(11, &interruptedCall{data: callOf(83, 1), val: 3, until: 3})
	before.add(10, &interruptedCall{data: callOf(83, 1), val: 4, until: 4}) // interrupted once more
	if !after.has(10) || !after.has(11) || after.has(12) {
		t.Error("the next worker does not know the targets")
	}
	for _, tt := range []struct {
		tid  uint32
		data unotify.Data
		val  int64 // 0: not found
	}{
		{12, callOf(83, 1), 0}, {10, callOf(84, 1), 0}, {10, callOf(83, 3), 0},
		{10, callOf(83, 1), 4}, {10, callOf(83, 1), 0},
		{11, callOf(83, 1), 3}, {10, callOf(83, 2), 2},
	} {
		if got, ok := after.take(tt.tid, tt.data); ok != (tt.val != 0) || ok && got.val != tt.val {
			t.Errorf("thread %d, %v: %d, %t; want %d", tt.tid, tt.data, got.val, ok, tt.val)
		}
	}
	if before.has(10) || before.has(11) {
		t.Error("calls are left")
	}
}

// The oldest call is dropped.
func TestInterruptionsFull(t *testing.T) {
	j, _ := newTestJournal(t)
	i := replays{all: &j.interrupted}
	for n := range uint64(maxInterrupted + 1) {
		i.add(10, &interruptedCall{data: callOf(83, n), until: int64(100 + n)})
	}
	if _, ok := i.take(10, callOf(83, 0)); ok {
		t.Error("the oldest is still there")
	}
	for n := uint64(1); n <= maxInterrupted; n++ {
		if _, ok := i.take(10, callOf(83, n)); !ok {
			t.Errorf("call %d is lost", n)
		}
	}
}

// Registers that are not arguments of the call are ignored.
func TestWithoutUnusedArgs(t *testing.T) {
	w := &worker{dispatch: syscalls.NewDispatch(), counters: new(statistics.Counters)}
	mkdir := callOf(unix.SYS_MKDIRAT, 1)
	for row, want := range map[unotify.Data][6]uint64{
		mkdir:                 {1, 2, 3},
		callOf(unusedCall, 1): {1, 2, 3, 4, 5, 6},
	} {
		if got := w.withoutUnusedArgs(row).Args; got != want {
			t.Errorf("call %d: %v, want %v", row.NR, got, want)
		}
	}
}

// Looking up interrupted calls does not allocate.
func TestInterruptionsAllocate(t *testing.T) {
	j, _ := newTestJournal(t)
	w := &worker{dispatch: syscalls.NewDispatch(), counters: new(statistics.Counters)}
	w.replays.open(&j.interrupted)
	w.replays.add(10, &interruptedCall{data: callOf(83, 1), until: time.Now().UnixNano()})
	r := &receiver{worker: w, slot: &slot{notif: unotify.Notif{PID: 11}}}
	other := callOf(84, 1)
	if n := testing.AllocsPerRun(100, func() {
		if r.resume() || r.call.Again {
			t.Error("another's call is resumed")
		}
		if _, ok := w.replays.take(10, other); ok {
			t.Error("another call is resumed")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A call is stored only if it has an Intent or must not happen twice.
func TestInterruptedWithoutIntent(t *testing.T) {
	j, _ := newTestJournal(t)
	w := &worker{dispatch: syscalls.NewDispatch(), counters: new(statistics.Counters)}
	w.replays.open(&j.interrupted)
	r := &receiver{worker: w, slot: &slot{notif: unotify.Notif{ID: 5, PID: 1, Data: callOf(83, 1)}, intent: handlers.Intent{ID: 4}}}
	r.interrupted(false)
	if w.replays.has(1) {
		t.Error("a call without an Intent is stored")
	}
	if !w.replays.seen.Load() {
		t.Error("the interruption has not been noted")
	}
}
