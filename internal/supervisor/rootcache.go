package supervisor

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// rootCache decides whether a receiver can keep the root directory of its last target
// for the next notification. It can if the target is the same task, as is usual, and
// no task may have changed its root directory since.
//
// A task changes its root directory after the notification has been answered, in the
// kernel. So such a change counts as pending until the task makes its next call, or is found to
// have ended.
type rootCache struct {
	journal *journal
	exists  func(tid uint32) bool // sys.TaskExists
	changes atomic.Uint64         // counts changes of root directories
	pending atomic.Int32          // changes that the kernel may not have made yet
	refused atomic.Uint32         // how often kept has returned false because of them

	root   unix.Stat_t // of the container's root directory
	warned sync.Once   // that users may not search it

	mu      sync.Mutex
	changer [maxChangers]uint32 // thread ids of the tasks with pending changes; 0: free
}

// maxChangers is how many changes may be pending. After more, or as long as a task makes no other
// call, no receiver keeps a root directory: that is slower, but right.
const maxChangers = 8

// endedEvery is after how many calls for which a change is pending rootCache looks whether the tasks
// that make changes have ended: accelerated ones may never make another call that is notified.
const endedEvery = 16

// RootsDiffer implements handlers.RootWatch: the task tid may get another root directory
// when its call is answered.
func (r *rootCache) RootsDiffer(tid uint32) {
	r.journal.rootsDiffer.Store(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes.Add(1)
	if !r.note(tid) {
		r.forgetEnded()
		if !r.note(tid) {
			r.pending.Add(1) // for good
		}
	}
}

// note notes that the task tid has a pending change, and reports whether there was room for that. The
// caller holds r.mu.
func (r *rootCache) note(tid uint32) bool {
	for i := range r.changer {
		if r.changer[i] == 0 || r.changer[i] == tid {
			if r.changer[i] == 0 {
				r.changer[i] = tid
				r.pending.Add(1)
			}
			return true
		}
	}
	return false
}

// forgetEnded removes the changes of tasks that have ended: the kernel has made them, or never will.
// The caller holds r.mu.
func (r *rootCache) forgetEnded() {
	for i, tid := range r.changer {
		if tid != 0 && !r.exists(tid) {
			r.settle(i)
		}
	}
}

// settle removes the pending change with the index i. The caller holds r.mu.
func (r *rootCache) settle(i int) {
	r.changer[i] = 0
	r.changes.Add(1) // tasks that share the changed root directory may have called meanwhile
	r.pending.Add(-1)
}

// MayDiffer implements handlers.RootWatch: it reports whether tasks of the container may
// have different root directories.
func (r *rootCache) MayDiffer() bool { return r.journal.rootsMayDiffer() }

// SearchDenied implements handlers.RootWatch: a task may not search the directory with
// the status st. If that is the container's own root directory, it is probably a
// mistake: mktemp(1) and some programs that unpack images create it with mode 0700.
func (r *rootCache) SearchDenied(st *unix.Stat_t) {
	if st.Dev == r.root.Dev && st.Ino == r.root.Ino {
		r.warned.Do(func() {
			slog.Warn("a user may not search the container's root directory: every absolute path fails with Permission denied",
				"mode", fmt.Sprintf("%04o", st.Mode&0o7777), "remedy", "chmod 755 the root file system's directory, or use --permissions=off")
		})
	}
}

// called notes a call of the task tid, and reports whether its root directory has changed
// since its last call.
func (r *rootCache) called(tid uint32) (changed bool) {
	if r.pending.Load() == 0 {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.changer {
		if r.changer[i] == tid {
			r.settle(i)
			changed = true
		}
	}
	return changed
}

// adoptedRoot says whose root directory a receiver's thread has.
type adoptedRoot struct {
	tid     uint32
	changes uint64 // rootCache.changes at that time
}

// kept reports whether the root directory that a receiver has is still that of the task
// tid.
func (r *rootCache) kept(last adoptedRoot, tid uint32) bool {
	if last.tid != tid {
		return false
	}
	if r.pending.Load() != 0 {
		if r.refused.Add(1)%endedEvery == 0 {
			r.mu.Lock()
			r.forgetEnded()
			r.mu.Unlock()
		}
		return false
	}
	return last.changes == r.changes.Load()
}
