package identity

import (
	"log/slog"
	"slices"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// maxPasses is how often collect looks for what tasks have, while they fork and end.
const maxPasses = 100

// collect frees the indexes of states that no task has any more, and tells whether
// there were any. The caller holds t.mu, so that no task gets a state meanwhile but by
// fork(2) and clone(2).
func (t *Table) collect() bool {
	var used [maxStates]bool
	processes, err := t.numbers(".")
	for pass := 0; ; pass++ {
		if err != nil {
			slog.Error("looking for identities that no task has failed", "err", err)
			return false
		}
		if pass == maxPasses {
			return false // tasks come and go too fast
		}
		// Where a task has vanished before it was looked at, its child may have
		// come too late for the list: then the next pass sees the child.
		vanished := t.mark(&used, processes)
		before := processes
		processes, err = t.numbers(".")
		if !vanished && err == nil && !added(before, processes) {
			break
		}
	}
	freed := false
	for i := range t.shared.marks[:t.shared.top] {
		if !used[i] && t.shared.marks[i] != 0 {
			atomic.StoreUint32(&t.shared.marks[i], 0)
			freed = true
		}
	}
	return freed
}

// added tells whether after has a number that before has not.
func added(before, after []uint32) bool {
	slices.Sort(before)
	return slices.ContainsFunc(after, func(pid uint32) bool {
		_, found := slices.BinarySearch(before, pid)
		return !found
	})
}

// mark notes the indexes that processes use, and tells whether a task has vanished.
func (t *Table) mark(used *[maxStates]bool, processes []uint32) (vanished bool) {
	used[initial], used[program] = true, true
	for i := range t.shared.begun {
		if s, ok := startOf(atomic.LoadUint32(&t.shared.begun[i])); ok {
			used[s] = true
		}
	}
	for _, pid := range processes {
		c, e := getCookie(pid)
		vanished = vanished || e == unix.ESRCH
		if e != 0 || !t.owns(c) {
			continue // EPERM: somebody else's
		}
		used[c.state()] = true
		if c.has(pending) {
			used[c.after()] = true
		}
		if !c.has(perThread) {
			continue
		}
		threads, e := t.threads(pid)
		vanished = vanished || e != 0
		for _, tid := range threads {
			slack, e := t.slack(tid)
			vanished = vanished || e != 0
			if i, ok := stateOf(slack); e == 0 && ok {
				used[i] = true
			}
		}
	}
	return vanished
}
