package identity

import (
	"log/slog"
	"slices"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// maxPasses is how many times reclaim lists the tasks, while they fork and exit.
const maxPasses = 100

// reclaim frees the indexes of states that no task has any more, and reports whether
// it has freed any. The caller holds t.mu, so that meanwhile tasks get states only by
// fork(2) and clone(2).
func (t *Table) reclaim() bool {
	var used [maxStates]bool
	processes, err := t.numbers(".")
	for pass := 0; ; pass++ {
		if err != nil {
			slog.Error("reclaiming unused identities failed", "err", err)
			return false
		}
		if pass == maxPasses {
			return false // tasks fork and exit too fast
		}
		// If a task has exited before this pass reached it, it may have forked a child
		// that is not in the list. The next pass finds the child.
		vanished := t.markUsed(&used, processes)
		before := processes
		processes, err = t.numbers(".")
		if !vanished && err == nil && !added(before, processes) {
			break
		}
	}
	freed := false
	for i := range t.shared.hashes[:t.shared.top] {
		if !used[i] && t.shared.hashes[i] != 0 {
			atomic.StoreUint32(&t.shared.hashes[i], 0)
			freed = true
		}
	}
	return freed
}

// added reports whether after has a number that before does not have.
func added(before, after []uint32) bool {
	slices.Sort(before)
	return slices.ContainsFunc(after, func(pid uint32) bool {
		_, found := slices.BinarySearch(before, pid)
		return !found
	})
}

// markUsed sets used for the states of processes and of programs that are yet to start.
// It reports whether a task has exited meanwhile.
func (t *Table) markUsed(used *[maxStates]bool, processes []uint32) (vanished bool) {
	used[initial], used[program] = true, true
	for i := range t.shared.toStart {
		if s, ok := startState(atomic.LoadUint32(&t.shared.toStart[i])); ok {
			used[s] = true
		}
	}
	for _, pid := range processes {
		c, e := getCookie(pid)
		vanished = vanished || e == unix.ESRCH
		if e != 0 || !t.owns(c) {
			continue // EPERM: a process of another user of the host
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
