package identity

import (
	"log/slog"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Waiter is a notification. Waits reports whether its target still waits for the
// answer.
type Waiter interface{ Waits() bool }

// assumeWaiting is the Waiter for a target that the caller knows to wait.
type assumeWaiting struct{}

func (assumeWaiting) Waits() bool { return true }

// Self returns the state of the thread tid, the target of the notification w. The
// caller must not change the state's groups. The error is ESRCH if the thread has
// exited, or no longer waits for the answer.
func (t *Table) Self(tid uint32, w Waiter) (State, unix.Errno) { return t.get(tid, w) }

// Get returns the state of any task of the container. The caller must not change the
// state's groups. The error is ESRCH if there is no such task, or EPERM if it belongs
// to another user of the host.
func (t *Table) Get(tid uint32) (State, unix.Errno) { return t.get(tid, nil) }

// get returns the state of the task tid. W is nil if it does not wait for an answer.
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
	case !c.has(pending | perThread | moving):
		return t.state(c.state()), 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if w == nil {
		c, e = t.cookieOf(tid)
	} else {
		c, e = t.waitingCookie(tid, w)
	}
	if e != 0 {
		return State{}, e
	}
	i, e := t.threadState(tid, c)
	if e == 0 && c.has(moving) {
		i, e = t.arrive(tid, i)
	}
	if e != 0 {
		return State{}, e
	}
	return t.state(i), 0
}

// Own reports whether the kernel's RLIMIT_LOCKS of the task tid is a cookie of this
// table, so that State.Locks has the limit of its program.
func (t *Table) Own(tid uint32) bool {
	c, e := getCookie(tid)
	return e == 0 && t.owns(c)
}

// IsInitial reports whether all tasks of the process of the thread tid, the target of the
// notification w, have the initial state.
func (t *Table) IsInitial(tid uint32, w Waiter) bool {
	if !t.InUse() {
		return true
	}
	c, e := getCookie(tid)
	if e == 0 && t.owns(c) && c.has(pending|perThread|moving) {
		t.mu.Lock()
		defer t.mu.Unlock()
		c, e = t.waitingCookie(tid, w)
	}
	return e == 0 && (!t.owns(c) || c == t.newCookie(initial))
}

// Set makes s the state of the thread tid, which waits for an answer, or of its process
// if that is the only thread. The error is ESRCH if the thread has exited, or EAGAIN if
// the table is full or the hard RLIMIT_LOCKS of the process is too low; the log then
// has the reason.
func (t *Table) Set(tid uint32, s *State) unix.Errno {
	t.mu.Lock()
	defer t.mu.Unlock()
	c, e := t.waitingCookie(tid, assumeWaiting{})
	if e != 0 {
		return e
	}
	alone, e := t.singleThreaded(tid)
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

// Expect notes that the thread tid, which waits for the answer to an execve(2), gets
// the state s if the call succeeds. The kernel does not report that it has succeeded:
// whoever reads the state next finds out. Call Expect even if the state stays the
// same, because a change that another thread has announced before may be pending,
// whose execve(2) has failed. The errors are those of Set.
func (t *Table) Expect(tid uint32, s *State) unix.Errno {
	if !t.InUse() && t.stateIs(initial, s) {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	c, e := t.waitingCookie(tid, assumeWaiting{})
	if e != 0 {
		return e
	}
	if !c.has(pending) {
		if i, e := t.threadState(tid, c); e != 0 || t.stateIs(i, s) {
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
	return t.setCookie(tid, c.withPending(after, signature))
}

// SetLocks makes l the RLIMIT_LOCKS that the process of the task tid sees. The errors
// are those of Set.
func (t *Table) SetLocks(tid uint32, l unix.Rlimit) unix.Errno {
	return t.change(tid, func(s *State) { s.Locks = l }, true)
}

// Serve notes that the process of the task tid serves a file system: see State.Serves. The
// errors are those of Set.
func (t *Table) Serve(tid uint32) unix.Errno {
	return t.change(tid, func(s *State) { s.Serves = true }, false)
}

// change changes the state of all threads of the process of tid, and if survives is true, that
// after a pending execve(2).
func (t *Table) change(tid uint32, f func(*State), survives bool) unix.Errno {
	t.mu.Lock()
	defer t.mu.Unlock()
	c, e := t.cookieOf(tid)
	if e != 0 {
		return e
	}
	c, e = t.changeProcess(tid, c, f)
	if e != 0 || !survives || !c.has(pending) {
		return e
	}
	after, e := t.indexWith(c.after(), f)
	if e != 0 {
		return e
	}
	return t.setCookie(tid, c.withPending(after, c.signature()))
}

// changeProcess applies change, which concerns an attribute of the process, to the states of the
// process of tid and of all its threads, and returns the new cookie. C is the cookie before. The
// caller holds t.mu.
func (t *Table) changeProcess(tid uint32, c cookie, change func(*State)) (cookie, unix.Errno) {
	i, e := t.indexWith(c.state(), change)
	if e != 0 {
		return 0, e
	}
	c = c.withState(i)
	if e := t.setCookie(tid, c); e != 0 || !c.has(perThread) {
		return c, e
	}
	// Threads that have not been changed yet may create others meanwhile.
	for found := true; found; {
		found = false
		e := t.eachThread(tid, func(thread uint32, slack uint64) unix.Errno {
			own, ok := stateOf(slack)
			if !ok {
				return 0
			}
			i, e := t.indexWith(own, change)
			if e != 0 || i == own {
				return e
			}
			found = true
			return t.setSlack(thread, slackOf(i))
		})
		if e != 0 {
			return 0, e
		}
	}
	return c, 0
}

// indexWith returns the index of the state i after change. The errors are those of index.
func (t *Table) indexWith(i uint16, change func(*State)) (uint16, unix.Errno) {
	s := t.state(i)
	change(&s)
	return t.index(&s)
}

// ResolveExec finds out whether a pending execve(2) by the process of the thread tid has
// succeeded. The thread waits for an answer. The error is ESRCH if it has exited, or
// EBUSY if another thread may still be in execve(2).
func (t *Table) ResolveExec(tid uint32) unix.Errno {
	if !t.InUse() {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	c, e := t.waitingCookie(tid, assumeWaiting{})
	if e == 0 && c.has(pending) {
		e = unix.EBUSY
	}
	return e
}

// cookieOf returns the cookie of the process of tid. It first applies a pending
// execve(2) that has succeeded. One that is still pending in the result may succeed at
// any time, unless the task waits for an answer. The caller holds t.mu, which protects
// cookies.
func (t *Table) cookieOf(tid uint32) (cookie, unix.Errno) {
	c, e := getCookie(tid)
	if e != 0 {
		return 0, e
	}
	if !t.owns(c) {
		return t.newCookie(initial), 0
	}
	if c = t.withTag(c); !c.has(pending) {
		return c, 0
	}
	switch signature, e := t.signature(tid); {
	case e == unix.EACCES || e == unix.EPERM:
		// It was readable before, so it is another program's. ptrace(2): "Deny access
		// if the target process "dumpable" attribute has a value other than 1". The
		// kernel clears that attribute for a program that may be executed but not read.
	case e == unix.ENOENT:
		return c, 0 // a zombie
	case e != 0:
		return 0, e
	case signature == c.signature():
		return c, 0
	}
	return t.setProcess(tid, c, c.after())
}

// waitingCookie is cookieOf for the thread tid, the target of the notification w. If it
// is the only thread of its process, no execve(2) is in progress, and the result has
// none of the flags pending, perThread and moving. The caller holds t.mu.
func (t *Table) waitingCookie(tid uint32, w Waiter) (cookie, unix.Errno) {
	c, e := t.cookieOf(tid)
	if e != 0 || !c.has(pending|perThread|moving) {
		return c, e
	}
	// A pending execve(2) has failed, or not succeeded yet. If there is another thread,
	// that one may be in execve(2), or in clone(2).
	alone, e := t.singleThreaded(tid)
	if e == 0 && !alone && c.has(moving) {
		return t.arriveThreads(tid, c)
	}
	if e != 0 || !alone {
		return c, e
	}
	if !w.Waits() {
		return 0, unix.ESRCH
	}
	delete(t.movers, tid)
	if !c.has(perThread | moving) {
		return c.withoutPending(), t.setCookie(tid, c.withoutPending())
	}
	// A process that was forked, or has executed a program, in a process with threads, or that
	// may be in another user namespace.
	i, e := t.threadState(tid, c)
	if e == 0 && c.has(moving) {
		i, e = t.arrive(tid, i)
	}
	if e != 0 {
		return 0, e
	}
	return t.setProcess(tid, c.withoutPending(), i)
}

// threadState returns the state of the thread tid, whose process has the cookie c.
func (t *Table) threadState(tid uint32, c cookie) (uint16, unix.Errno) {
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

// setThread makes s the state of the thread tid only, except for what is an attribute of the
// process: Dumpable. C is the cookie of its process. The caller holds t.mu.
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
	if process := t.state(c.state()); process.Dumpable() != s.Dumpable() {
		c, e = t.changeProcess(tid, c, func(all *State) { all.SetDumpable(s.Dumpable()) })
		if e != 0 {
			return e
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
	// Since Linux 6.12, threads with a real-time scheduling policy have no timer slack:
	// see PR_SET_TIMERSLACK in prctl(2). Then all such threads share the state in the
	// cookie.
	if slack, e = t.slack(tid); e != 0 {
		return e
	}
	if slack != slackOf(i) {
		c = c.withState(i)
		if e := t.setCookie(tid, c); e != 0 {
			return e
		}
	}
	if same, e := t.allHave(tid, c, i); e != 0 || !same {
		return e
	}
	_, e = t.setProcess(tid, c, i)
	return e
}

// allHave reports whether all threads of the process of tid, with the cookie c, have
// the state i. That is so after the C library has changed the ids of all threads
// (nptl(7)). The error is ESRCH if the process has exited.
func (t *Table) allHave(tid uint32, c cookie, i uint16) (bool, unix.Errno) {
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

// setProcess makes i the state of the process of tid and of all its threads, and
// returns the new cookie. C is the cookie before. The caller holds t.mu.
func (t *Table) setProcess(tid uint32, c cookie, i uint16) (cookie, unix.Errno) {
	if c.has(perThread) {
		if !c.has(pending) { // the execve(2) that c describes yields the same state
			if e := t.setCookie(tid, c.withState(i)); e != 0 {
				return 0, e
			}
		}
		s := t.state(i)
		// Threads that have not been changed yet may create others meanwhile.
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

// eachThread calls f for each thread of the process of tid, with its timer slack, until
// f returns an error other than ESRCH. It skips threads that exit meanwhile.
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

// setCookie makes c the cookie of the process of tid. A process whose tasks have the initial state
// needs none: it gets the limit that it had before. The caller holds t.mu. The error is EAGAIN if the
// hard limit of the process does not allow it, or Leaves.
func (t *Table) setCookie(tid uint32, c cookie) unix.Errno {
	var old unix.Rlimit
	if e := prlimit(tid, nil, &old); e != 0 {
		return e
	}
	if c == t.newCookie(initial) {
		if !t.owns(cookie(old.Cur)) {
			return 0
		}
		return prlimit(tid, &unix.Rlimit{Cur: min(t.state(initial).Locks.Cur, old.Max), Max: old.Max}, nil)
	}
	if old.Max < uint64(c) {
		// setuid(2) documents EAGAIN as a lack of resources.
		t.reportLimit.Do(func() {
			slog.Error("a task cannot change its identity (EAGAIN): its hard RLIMIT_LOCKS must be unlimited, and has been lowered",
				"pid", tid, "limit", old.Max, "remedy", "do not lower it with ulimit -x or prlimit --locks")
		})
		return unix.EAGAIN
	}
	if t.Leaves != nil && !t.owns(cookie(old.Cur)) {
		if err := t.Leaves(tid); err != nil {
			slog.Error("a task cannot change its identity (EAGAIN)", "pid", tid, "err", err)
			return unix.EAGAIN
		}
	}
	atomic.StoreUint32(&t.shared.inUse, 1) // before a task has another state
	return prlimit(tid, &unix.Rlimit{Cur: uint64(c), Max: old.Max}, nil)
}
