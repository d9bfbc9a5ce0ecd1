package supervisor

import (
	"testing"
	"time"
)

func TestPolicy(t *testing.T) {
	now := time.Now()
	gap := 95 * time.Microsecond // between notifications, as in a build
	p := wakeUpPolicy{clock: func() time.Time { return now }}
	stream := func(n int, tids ...uint32) {
		for range n {
			for _, tid := range tids {
				now = now.Add(gap)
				p.received(tid)
			}
		}
	}
	bursts := func(n int) {
		for range n {
			stream(6, 1)
			stream(6, 2)
		}
	}
	expect := func(what string, crowded bool) {
		t.Helper()
		if p.crowded() != crowded {
			t.Fatalf("after %s: crowded is %v, want %v", what, p.crowded(), crowded)
		}
	}
	stream(10_000, 1)
	expect("one stream", false)
	for tid := uint32(2); tid < 2000; tid++ {
		stream(1, tid, tid, tid)
	}
	expect("one process after the other", false)
	for range 20 {
		stream(100, 1)
		stream(50, 2)
	}
	expect("a compiler and its driver, one after the other", false)
	bursts(100)
	expect("bursts of two", true)
	stream(200, 1)
	expect("a quiet moment of the one", true)
	stream(2000, 1)
	expect("one stream again", false)
	bursts(100)
	expect("bursts of two again", true)
	gap = 8 * time.Microsecond
	bursts(100)
	expect("two that do nothing else", false)
	gap = 95 * time.Microsecond
	bursts(100)
	expect("two that compute", true)
}

func BenchmarkPolicy(b *testing.B) {
	p := wakeUpPolicy{clock: time.Now}
	b.ReportAllocs()
	for i := range b.N {
		p.received(uint32(i>>2) & 1)
	}
}
