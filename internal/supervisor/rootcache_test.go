package supervisor

import "testing"

// A receiver keeps a root directory for calls of the same task only, and not while a
// change may be pending.
func TestRootsAreKept(t *testing.T) {
	ended := map[uint32]bool{}
	r := &rootCache{journal: new(journal), exists: func(tid uint32) bool { return !ended[tid] }}
	last := adoptedRoot{tid: 7, changes: r.changes.Load()}
	check := func(when string, tid uint32, want bool) {
		t.Helper()
		if got := r.kept(last, tid); got != want {
			t.Errorf("%s: kept %v, want %v", when, got, want)
		}
	}
	check("the same task", 7, true)
	check("another task", 8, false)

	r.RootsDiffer(9)
	check("while 9 changes its root", 7, false)
	last.changes = r.changes.Load()
	check("adopted again meanwhile", 7, false)
	r.called(7)
	check("after a call of its own", 7, false)
	r.called(9)
	check("adopted before 9 called again", 7, false)
	last.changes = r.changes.Load()
	check("adopted after that", 7, true)

	// Accelerated tasks often make no other call that is notified.
	for tid := uint32(50); tid < 50+2*maxChangers; tid++ {
		r.RootsDiffer(tid)
		check("while a task that may call again has a pending change", 7, false)
		ended[tid] = true
	}
	last.changes = r.changes.Load()
	for range endedEvery {
		check("adopted before the ended tasks were noticed", 7, false)
	}
	last.changes = r.changes.Load()
	check("after that", 7, true)

	for tid := uint32(100); tid < 100+2*maxChangers; tid++ {
		r.RootsDiffer(tid)
	}
	for tid := uint32(100); tid < 100+2*maxChangers; tid++ {
		r.called(tid)
	}
	last.changes = r.changes.Load()
	check("after too many pending changes", 7, false)
}
