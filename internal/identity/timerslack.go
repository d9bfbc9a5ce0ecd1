package identity

import "golang.org/x/sys/unix"

// Slack returns the timer slack, in nanoseconds, that the program has set for the
// thread tid. Known is true if it comes from the table, and false if the kernel has the
// same value. The error is ESRCH if the thread has exited.
func (t *Table) Slack(tid uint32) (slack uint64, known bool, e unix.Errno) {
	slack, e = t.slack(tid)
	if e != 0 || !Hidden(slack) {
		return slack, false, e
	}
	s, e := t.Self(tid, assumeWaiting{})
	if s.Slack == 0 {
		s.Slack = defaultSlack
	}
	return s.Slack, true, e
}

// SetSlack sets the timer slack of the thread tid, which waits for an answer, to slack
// nanoseconds; 0 is the thread's default. The errors are those of Set.
func (t *Table) SetSlack(tid uint32, slack uint64) unix.Errno {
	s, e := t.Self(tid, assumeWaiting{})
	if e != 0 {
		return e
	}
	old, e := t.slack(tid)
	if e != 0 {
		return e
	}
	_, own := stateOf(old)
	switch {
	case own || Hidden(slack):
		if s.Slack = slack; slack == defaultSlack {
			s.Slack = 0
		}
		if !own { // so that Set does not replace s.Slack by the kernel's value
			if e := t.setSlack(tid, hiddenSlack); e != 0 {
				return e
			}
		}
		return t.Set(tid, &s)
	case slack != 0:
		return t.setSlack(tid, slack)
	}
	// The default is inherited from the thread that created this one: it may hold a
	// state.
	if e := t.setSlack(tid, 0); e != 0 {
		return e
	}
	slack, e = t.slack(tid)
	if e == 0 && Hidden(slack) {
		e = t.setSlack(tid, defaultSlack)
	}
	return e
}
