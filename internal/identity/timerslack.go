package identity

import "golang.org/x/sys/unix"

// Slack returns the timer slack, in nanoseconds, that the program of the thread tid has
// set. Known is false if it is the kernel's.
func (t *Table) Slack(tid uint32) (slack uint64, known bool, e unix.Errno) {
	slack, e = t.slack(tid)
	if e != 0 || !Hidden(slack) {
		return slack, false, e
	}
	s, e := t.Self(tid, waits{})
	if s.Slack == 0 {
		s.Slack = defaultSlack
	}
	return s.Slack, true, e
}

// SetSlack makes the timer slack of the thread tid, which waits for an answer, that
// many nanoseconds, or its default if they are 0. Errors are those of Set.
func (t *Table) SetSlack(tid uint32, slack uint64) unix.Errno {
	s, e := t.Self(tid, waits{})
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
		if !own { // for Set to see that it is not the kernel's
			if e := t.setSlack(tid, hiddenSlack); e != 0 {
				return e
			}
		}
		return t.Set(tid, &s)
	case slack != 0:
		return t.setSlack(tid, slack)
	}
	// The default is what the thread's maker had, which may be the name of a state.
	if e := t.setSlack(tid, 0); e != 0 {
		return e
	}
	slack, e = t.slack(tid)
	if e == 0 && Hidden(slack) {
		e = t.setSlack(tid, defaultSlack)
	}
	return e
}
