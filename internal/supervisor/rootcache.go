package supervisor

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// rootCache knows when a receiver may keep the root directory that it has taken on for
// the last call: for the next call of the same task, which is the rule, unless a
// task has got another root since.
type rootCache struct {
	journal *journal
	changes atomic.Uint64 // calls that give a task another root
	pending atomic.Int32  // such calls that the kernel may not have executed yet

	root   unix.Stat_t // the container's root directory
	warned sync.Once   // it has been said that some may not search it

	mu      sync.Mutex
	changer [maxChangers]uint32 // the tasks that made those, until they call again; 0: free
}

// maxChangers is how many tasks may change their root at the same time. If there are
// ever more, or one never calls again, no root is kept.
const maxChangers = 8

// RootsDiffer implements kernel.RootWatch: the task tid is about to get another root.
func (r *rootCache) RootsDiffer(tid uint32) {
	r.journal.rootsDiffer.Store(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes.Add(1)
	for i := range r.changer {
		if r.changer[i] == 0 || r.changer[i] == tid {
			if r.changer[i] == 0 {
				r.changer[i] = tid
				r.pending.Add(1)
			}
			return
		}
	}
	r.pending.Add(1) // for ever
}

// SearchDenied implements kernel.RootWatch: a task may not search the directory with the status st.
// Of the container's own root directory that is seldom meant: mktemp(1) and some programs
// that unpack images give it the mode 0700.
func (r *rootCache) SearchDenied(st *unix.Stat_t) {
	if st.Dev == r.root.Dev && st.Ino == r.root.Ino {
		r.warned.Do(func() {
			slog.Warn("a user may not search the container's root directory, and so gets Permission denied for every path",
				"mode", fmt.Sprintf("%04o", st.Mode&0o7777), "remedy", "chmod 755 the root file system's directory, or --permissions=off")
		})
	}
}

// called tells that the task tid calls again: what it did before has been done.
func (r *rootCache) called(tid uint32) {
	if r.pending.Load() == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.changer {
		if r.changer[i] == tid {
			r.changer[i] = 0
			r.changes.Add(1)
			r.pending.Add(-1)
		}
	}
}

// adoptedRoot is whose root directory a receiver has taken on.
type adoptedRoot struct {
	tid     uint32
	changes uint64
}

// kept tells whether the root that a receiver has taken on is that of the task tid.
func (r *rootCache) kept(last adoptedRoot, tid uint32) bool {
	return last.tid == tid && r.pending.Load() == 0 && last.changes == r.changes.Load()
}
