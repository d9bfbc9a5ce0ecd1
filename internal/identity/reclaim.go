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
	examined := map[uint32]bool{}
	for pass := 0; ; pass++ {
		processes, err := t.numbers(".")
		if err != nil {
			slog.Error("reclaiming unused identities failed", "err", err)
			return false
		}
		// The first list may lack a process that appeared, and whose parent exited, meanwhile.
		if missed := t.markUsed(&used, processes, examined); !missed && pass > 0 {
			break
		}
		if pass == maxPasses {
			return false // tasks fork and exit too fast
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

// markUsed sets used for the states of processes and of programs that are yet to start. In
// examined, it notes the processes whose states it knows.
//
// It reports whether a process may have a state that is not marked: if it has marked another
// one, or if a process has exited before it was examined, which may have forked a child that
// is not in the list. Others may fork and exit as they like, in particular those that are not
// the container's: all processes of the machine are listed.
func (t *Table) markUsed(used *[maxStates]bool, processes []uint32, examined map[uint32]bool) (missed bool) {
	mark := func(i uint16) {
		missed = missed || !used[i]
		used[i] = true
	}
	mark(initial)
	mark(program)
	for i := range t.shared.toStart {
		if s, ok := startState(atomic.LoadUint32(&t.shared.toStart[i])); ok {
			mark(s)
		}
	}
	for _, pid := range slices.Backward(processes) { // the newest first, which may exit soon
		c, e := getCookie(pid)
		if e == unix.ESRCH {
			missed = missed || !examined[pid]
			continue
		}
		examined[pid] = true
		if e != 0 || !t.owns(c) {
			continue // EPERM: a process of another user of the host
		}
		mark(c.state())
		if c.has(pending) {
			mark(c.after())
		}
		if !c.has(perThread) {
			continue
		}
		threads, e := t.threads(pid)
		missed = missed || e != 0
		for _, tid := range threads {
			slack, e := t.slack(tid)
			missed = missed || e != 0
			if i, ok := stateOf(slack); e == 0 && ok {
				mark(i)
			}
		}
	}
	return missed
}
