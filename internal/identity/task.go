package identity

import (
	"log/slog"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Waiter tells whether a thread still waits for an answer.
type Waiter interface{ Waits() bool }

// waits is the Waiter of a thread that waits as its caller knows.
type waits struct{}

func (waits) Waits() bool { return true }

// Self returns the state of the thread tid, which waits for an answer as w knows. The
// state's groups must not be changed. The error is ESRCH if it does not, or is gone.
func (t *Table) Self(tid uint32, w Waiter) (State, unix.Errno) { return t.get(tid, w) }

// Get returns the state of any task of the container. The state's groups must not be
// changed. The error is ESRCH if there is no such task, or EPERM if it is none of this
// user.
func (t *Table) Get(tid uint32) (State, unix.Errno) { return t.get(tid, nil) }

func (t *Table) get(tid uint32, w Waiter) (State, unix.Errno) {
	if !t.InUse() {
		return t.state(initial), 0
	}
	c, e := getCookie(tid)
	switch {
	case e != 0:
		return State{}, e
	case !t.owns(c):
		return t.state(initial), 0
	case !c.has(pending | perThread):
		return t.state(c.state()), 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if w == nil {
		c, e = t.look(tid)
	} else {
		c, e = t.resolve(tid, w)
	}
	if e != 0 {
		return State{}, e
	}
	i, e := t.ofThread(tid, c)
	if e != 0 {
		return State{}, e
	}
	return t.state(i), 0
}

// Own tells whether the task's RLIMIT_LOCKS is not its program's own.
func (t *Table) Own(tid uint32) bool {
	c, e := getCookie(tid)
	return e == 0 && t.owns(c)
}

// Set makes s the state of the thread tid, which waits for an answer: of its
// process, if that has no other thread. Errors are EAGAIN if there is no room
// for another state, and ESRCH if the thread is gone.
func (t *Table) Set(tid uint32, s *State) unix.Errno {
	t.mu.Lock()
	defer t.mu.Unlock()
	c, e := t.resolve(tid, waits{})
	if e != 0 {
		return e
	}
	alone, e := t.alone(tid)
	if e != 0 {
		return e
	}
	if !alone {
		return t.setThread(tid, c, s)
	}
	i, e := t.index(s)
	if e != 0 {
		return e
	}
	return t.setCookie(tid, t.newCookie(i))
}

// Expect notes that the thread tid is about to execute a program which gives it
// the state s if execve(2) succeeds, which nobody will tell: the next look at
// the task finds out. It is to be called also if the state stays the same, because
// an execve(2) by another thread may have failed before, which was to change it.
func (t *Table) Expect(tid uint32, s *State) unix.Errno {
	if !t.InUse() && t.holds(initial, s) {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	c, e := t.resolve(tid, waits{})
	if e != 0 {
		return e
	}
	if !c.has(pending) {
		if i, e := t.ofThread(tid, c); e != 0 || t.holds(i, s) {
			return e
		}
	}
	signature, e := t.signature(tid)
	if e != 0 {
		return e
	}
	after, e := t.index(s)
	if e != 0 {
		return e
	}
	return t.setCookie(tid, c.expect(after, signature))
}

// SetLocks makes l the RLIMIT_LOCKS that the program of a task sees, in all threads
// of its process.
func (t *Table) SetLocks(tid uint32, l unix.Rlimit) unix.Errno {
	t.mu.Lock()
	defer t.mu.Unlock()
	c, e := t.look(tid)
	if e != 0 {
		return e
	}
	limited := func(i uint16) (uint16, unix.Errno) {
		s := t.state(i)
		s.Locks = l
		return t.index(&s)
	}
	i, e := limited(c.state())
	if e != 0 {
		return e
	}
	to := c.with(i)
	if c.has(pending) {
		after, e := limited(c.after())
		if e != 0 {
			return e
		}
		to = to.expect(after, c.signature())
	}
	if e := t.setCookie(tid, to); e != 0 || !c.has(perThread) {
		return e
	}
	return t.eachThread(tid, func(thread uint32, slack uint64) unix.Errno {
		own, ok := stateOf(slack)
		if !ok {
			return 0
		}
		i, e := limited(own)
		if e != 0 {
			return e
		}
		return t.setSlack(thread, slackOf(i))
	})
}

// ResolveExec finds out what has become of an execve(2) by the process of the thread tid, which
// waits for an answer. The error is EBUSY if another thread may still be in it.
func (t *Table) ResolveExec(tid uint32) unix.Errno {
	if !t.InUse() {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	c, e := t.resolve(tid, waits{})
	if e == 0 && c.has(pending) {
		e = unix.EBUSY
	}
	return e
}

// look returns the cookie of any task's process, after finding out whether an execve(2)
// that was under way has happened. That of a task that does not wait for an answer may
// be about to. The caller holds t.mu, without which nobody changes a cookie.
func (t *Table) look(tid uint32) (cookie, unix.Errno) {
	c, e := getCookie(tid)
	if e != 0 {
		return 0, e
	}
	if !t.owns(c) {
		return t.newCookie(initial), 0
	}
	if c = t.own(c); !c.has(pending) {
		return c, 0
	}
	switch signature, e := t.signature(tid); {
	case e == unix.EACCES || e == unix.EPERM:
		// Before, it could be read. ptrace(2): "Deny access if the target process
		// "dumpable" attribute has a value other than 1", as that of a program has
		// that may be executed but not read.
	case e == unix.ENOENT:
		return c, 0 // a zombie
	case e != 0:
		return 0, e
	case signature == c.signature():
		return c, 0
	}
	return t.unite(tid, c, c.after())
}

// resolve is look for the thread tid, which waits for an answer: if it is alone in its
// process, no execve(2) is under way, and the cookie is its state.
func (t *Table) resolve(tid uint32, w Waiter) (cookie, unix.Errno) {
	c, e := t.look(tid)
	if e != 0 || !c.has(pending|perThread) {
		return c, e
	}
	// It has not happened yet, or it failed. As long as there is another thread, that
	// one may be in execve(2).
	alone, e := t.alone(tid)
	if e != 0 || !alone {
		return c, e
	}
	if !w.Waits() {
		return 0, unix.ESRCH
	}
	if !c.has(perThread) {
		return c.settled(), t.setCookie(tid, c.settled())
	}
	// The child of a process with threads, or what it has executed.
	i, e := t.ofThread(tid, c)
	if e != 0 {
		return 0, e
	}
	return t.unite(tid, c.settled(), i)
}

// ofThread returns the state of the thread tid in a process with the cookie c.
func (t *Table) ofThread(tid uint32, c cookie) (uint16, unix.Errno) {
	if c.has(perThread) {
		slack, e := t.slack(tid)
		if e != 0 {
			return 0, e
		}
		if i, ok := stateOf(slack); ok {
			return i, 0
		}
	}
	return c.state(), 0
}

// setThread makes s the state of the thread tid alone. C is its process's cookie.
func (t *Table) setThread(tid uint32, c cookie, s *State) unix.Errno {
	slack, e := t.slack(tid)
	if e != 0 {
		return e
	}
	to := *s
	if !Hidden(slack) {
		if to.Slack = slack; slack == defaultSlack {
			to.Slack = 0
		}
	}
	i, e := t.index(&to)
	if e != 0 {
		return e
	}
	if !c.has(perThread) {
		c |= perThread
		if e := t.setCookie(tid, c); e != 0 {
			return e
		}
	}
	if e := t.setSlack(tid, slackOf(i)); e != 0 {
		return e
	}
	// prctl(2), PR_SET_TIMERSLACK: "timer expirations for threads [...] under a real-time
	// scheduling policy" are not affected, and since Linux 6.12 such threads have no timer
	// slack. Then all that have none share one state.
	if slack, e = t.slack(tid); e != 0 {
		return e
	}
	if slack != slackOf(i) {
		c = c.with(i)
		if e := t.setCookie(tid, c); e != 0 {
			return e
		}
	}
	if same, e := t.same(tid, c, i); e != 0 || !same {
		return e
	}
	_, e = t.unite(tid, c, i)
	return e
}

// same tells whether all threads of the process of tid have the state i. So they do
// after the C library has made them all change their ids (nptl(7)). C is its cookie.
func (t *Table) same(tid uint32, c cookie, i uint16) (bool, unix.Errno) {
	if c.has(pending) {
		return false, 0
	}
	e := t.eachThread(tid, func(_ uint32, slack uint64) unix.Errno {
		own, ok := stateOf(slack)
		if !ok {
			own = c.state()
		}
		if own != i {
			return unix.EEXIST
		}
		return 0
	})
	if e == unix.EEXIST {
		return false, 0
	}
	return e == 0, e
}

// unite makes i the state of the process of tid, and of all its threads, and returns its
// cookie, which was c.
func (t *Table) unite(tid uint32, c cookie, i uint16) (cookie, unix.Errno) {
	if c.has(perThread) {
		if !c.has(pending) { // else what the pending execve(2) has done says the same
			if e := t.setCookie(tid, c.with(i)); e != 0 {
				return 0, e
			}
		}
		s := t.state(i)
		// New threads may still be made by those that have not had their turn.
		for found := true; found; {
			found = false
			e := t.eachThread(tid, func(thread uint32, slack uint64) unix.Errno {
				if _, ok := stateOf(slack); !ok {
					return 0
				}
				found = true
				return t.setSlack(thread, s.kernelSlack())
			})
			if e != 0 {
				return 0, e
			}
		}
	}
	return t.newCookie(i), t.setCookie(tid, t.newCookie(i))
}

// eachThread calls f with each thread of the process of tid, and its timer slack, until
// f returns an error. Threads that end meanwhile are none.
func (t *Table) eachThread(tid uint32, f func(thread uint32, slack uint64) unix.Errno) unix.Errno {
	threads, e := t.threads(tid)
	for _, thread := range threads {
		slack, e := t.slack(thread)
		if e == 0 {
			e = f(thread, slack)
		}
		if e != 0 && e != unix.ESRCH {
			return e
		}
	}
	return e
}

// setCookie makes c the cookie of a task's process, of which it is its first or not.
// The error is EAGAIN if the process's hard limit does not allow it.
func (t *Table) setCookie(tid uint32, c cookie) unix.Errno {
	var old unix.Rlimit
	if e := prlimit(tid, nil, &old); e != 0 {
		return e
	}
	if old.Max < uint64(c) {
		// setrlimit(2), EAGAIN of setuid(2) and others: the kernel is out of something.
		t.limited.Do(func() {
			slog.Error("a task cannot become another user (EAGAIN), because somebody has lowered the hard limit of RLIMIT_LOCKS, which must be unlimited",
				"pid", tid, "limit", old.Max)
		})
		return unix.EAGAIN
	}
	atomic.StoreUint32(&t.shared.inUse, 1) // before a task has another state
	return prlimit(tid, &unix.Rlimit{Cur: uint64(c), Max: old.Max}, nil)
}
