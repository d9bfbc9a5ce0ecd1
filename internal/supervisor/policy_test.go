package supervisor

import "testing"

func TestPolicy(t *testing.T) {
	var p policy
	stream := func(n int, tids ...uint32) {
		for range n {
			for _, tid := range tids {
				p.received(tid)
			}
		}
	}
	expect := func(what string, crowded bool) {
		t.Helper()
		if p.crowded != crowded {
			t.Fatalf("after %s: crowded is %v, want %v", what, p.crowded, crowded)
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
	for range 40 {
		stream(6, 1)
		stream(6, 2)
	}
	expect("bursts of two", true)
	stream(200, 1)
	expect("a quiet moment of the one", true)
	stream(2000, 1)
	expect("one stream again", false)
	stream(2000, 1, 2)
	expect("two that take turns always", false)
}

func BenchmarkPolicy(b *testing.B) {
	var p policy
	b.ReportAllocs()
	for i := range b.N {
		p.received(uint32(i>>2) & 1)
	}
}
