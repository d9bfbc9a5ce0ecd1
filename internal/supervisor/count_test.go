package supervisor

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/handlers"
	"github.com/rootless-containers/subuidless/internal/statistics"
	"github.com/rootless-containers/subuidless/internal/unotify"
)

// counting returns a receiver with a notification.
func counting() *receiver {
	r := &receiver{worker: &worker{counters: new(statistics.Counters)}}
	r.call.Notif = new(unotify.Notif)
	r.call.Data.NR, r.call.Data.Arch = unix.SYS_GETPPID, unix.AUDIT_ARCH_X86_64
	return r
}

// Counting is part of the hot path.
func TestCountAllocatesNothing(t *testing.T) {
	r := counting()
	if n := testing.AllocsPerRun(100, func() { r.count(handlers.Continue, r.startTimer().elapsed()) }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// One of timedEach notifications is timed, or each.
func TestTimed(t *testing.T) {
	for _, all := range []bool{false, true} {
		r := counting()
		r.worker.cfg.TimeAll = all
		timed, want := 0, 2
		if all {
			want = 2 * timedEach
		}
		for range 2 * timedEach {
			if r.startTimer().elapsed() > 0 {
				timed++
			}
		}
		if timed != want {
			t.Errorf("with TimeAll %v: %d of %d are timed, want %d", all, timed, 2*timedEach, want)
		}
	}
	if d := (timer{}).elapsed(); d != 0 {
		t.Errorf("without a start: %v have elapsed", d)
	}
	if d := (timer{time.Now().Add(time.Hour)}).elapsed(); d <= 0 {
		t.Errorf("with a clock that went back: %v have elapsed, which means that it is not timed", d)
	}
}

// BenchmarkCount measures counting, a part of each notification.
func BenchmarkCount(b *testing.B) {
	r := counting()
	b.ReportAllocs()
	for b.Loop() {
		r.count(handlers.Continue, r.startTimer().elapsed())
	}
}
