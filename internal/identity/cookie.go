package identity

// cookie is the number that the kernel stores for each process on our behalf: its soft
// limit of RLIMIT_LOCKS. It holds the index of the process's state in the table.
//
// The kernel has ignored that limit since Linux 2.4.25 (setrlimit(2)). fork(2) copies
// it, execve(2) keeps it, and the supervisor reads and writes it with one prlimit(2).
// So no table of processes is necessary, a child whose parent has died has the right
// identity, and a cookie disappears with its process.
//
//	63  62..50  49         48       47      46..26     25..13  12..0
//	0   tag     perThread  pending  moving  signature  after   state
//
// The tag is that of the table, or markedTag. A process whose limit has another tag has
// the initial state, or belongs to another container.
type cookie uint64

const (
	perThread cookie = 1 << 49 // threads may have their own state, in their timer slack
	pending   cookie = 1 << 48 // an execve(2) is in progress, and changes the state to "after" if it succeeds
	moving    cookie = 1 << 47 // the process may be in another user namespace than its state: see Move

	tagShift, tagMask             = 50, 1<<14 - 1 // with the top bit
	markedTag                     = 1<<13 - 1     // see Mark, which knows no table
	signatureShift, signatureMask = 26, 1<<21 - 1
	afterShift, stateMask         = 13, maxStates - 1
)

// newCookie returns the cookie of a process whose threads all have the given state.
func (t *Table) newCookie(state uint16) cookie {
	return cookie(t.shared.tag)<<tagShift | cookie(state)
}

// owns reports whether c has the tag of this table, or markedTag.
func (t *Table) owns(c cookie) bool {
	tag := uint32(c >> tagShift & tagMask)
	return tag == t.shared.tag || tag == markedTag
}

// withTag returns c with the tag of this table.
func (t *Table) withTag(c cookie) cookie {
	return c&^(tagMask<<tagShift) | cookie(t.shared.tag)<<tagShift
}

// withPending returns c for a process during an execve(2) that gives it the state
// after if it succeeds. Signature is that of the process before the call.
func (c cookie) withPending(after uint16, signature uint32) cookie {
	return c.withoutPending() | pending | cookie(signature&signatureMask)<<signatureShift | cookie(after)<<afterShift
}

// withoutPending returns c without the fields of an execve(2) in progress.
func (c cookie) withoutPending() cookie {
	return c & (tagMask<<tagShift | perThread | moving | stateMask)
}

// withState returns c with another state.
func (c cookie) withState(state uint16) cookie { return c&^stateMask | cookie(state) }

func (c cookie) state() uint16         { return uint16(c & stateMask) }
func (c cookie) after() uint16         { return uint16(c >> afterShift & stateMask) }
func (c cookie) signature() uint32     { return uint32(c >> signatureShift & signatureMask) }
func (c cookie) has(flags cookie) bool { return c&flags != 0 }

// If the cookie of a process has the flag perThread, the timer slack of a thread may
// hold the thread's state: the index is added to the default of 50 µs, in
// nanoseconds. A delay of up to 8 µs more does not matter to timers. clone(2) copies
// the timer slack to a new thread, and to the only thread of a new process.
const (
	defaultSlack = 50_000
	firstSlack   = defaultSlack + 1
	lastSlack    = firstSlack + maxStates - 1
	// hiddenSlack stands for one of these values that the program itself has set.
	hiddenSlack = lastSlack + 1
)

// slackOf returns the timer slack that holds a state.
func slackOf(state uint16) uint64 { return firstSlack + uint64(state) }

// stateOf returns the state that a timer slack holds. Ok is false if it holds none.
func stateOf(slack uint64) (state uint16, ok bool) {
	if slack < firstSlack || slack > lastSlack {
		return 0, false
	}
	return uint16(slack - firstSlack), true
}

// Hidden reports whether a timer slack, in nanoseconds, is reserved for identities: a
// program that sets such a value gets another one in the kernel, and State.Slack
// remembers what it has set.
func Hidden(slack uint64) bool { return slack >= firstSlack && slack <= hiddenSlack }

// kernelSlack returns the timer slack, in nanoseconds, that a thread has in the kernel
// if it has the state of its process.
func (s *State) kernelSlack() uint64 {
	switch {
	case s.Slack == 0:
		return defaultSlack
	case Hidden(s.Slack):
		return hiddenSlack
	}
	return s.Slack
}
