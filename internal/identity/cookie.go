package identity

// cookie is what the kernel carries of a process's identity: the soft limit of
// RLIMIT_LOCKS. setrlimit(2): "This limit is ignored" since Linux 2.4.25. fork(2)
// copies it, execve(2) keeps it, and the supervisor reads and writes it with one
// prlimit(2). So an identity needs no table of processes, is exact for a child
// whose parent has died, and is gone when its last process is.
//
//	63  62..50  49         48       47..26     25..13  12..0
//	0   tag     perThread  pending  signature  after   state
//
// The tag is that of the table, or markedTag. A limit that has another one belongs to
// a process that has the initial state, or to another container.
type cookie uint64

const (
	perThread cookie = 1 << 49 // threads may have a state of their own, in their timer slack
	pending   cookie = 1 << 48 // an execve(2) is under way that is to give the state "after"

	tagShift, tagMask             = 50, 1<<14 - 1 // with the top bit
	markedTag                     = 1<<13 - 1     // before there is a table, see Mark
	signatureShift, signatureMask = 26, 1<<22 - 1
	afterShift, stateMask         = 13, maxStates - 1
)

// newCookie returns the cookie of a process of which all threads have one state.
func (t *Table) newCookie(state uint16) cookie {
	return cookie(t.shared.tag)<<tagShift | cookie(state)
}

// owns tells whether a cookie is one of this table.
func (t *Table) owns(c cookie) bool {
	tag := uint32(c >> tagShift & tagMask)
	return tag == t.shared.tag || tag == markedTag
}

// own returns c with the tag of this table.
func (t *Table) own(c cookie) cookie {
	return c&^(tagMask<<tagShift) | cookie(t.shared.tag)<<tagShift
}

// expect returns c as it is while the process executes a program that is to give
// it the state after. Signature is that of its memory before.
func (c cookie) expect(after uint16, signature uint32) cookie {
	return c.settled() | pending | cookie(signature&signatureMask)<<signatureShift | cookie(after)<<afterShift
}

// settled returns c without what belongs to an execve(2) under way.
func (c cookie) settled() cookie { return c & (tagMask<<tagShift | perThread | stateMask) }

// with returns c with another state.
func (c cookie) with(state uint16) cookie { return c&^stateMask | cookie(state) }

func (c cookie) state() uint16         { return uint16(c & stateMask) }
func (c cookie) after() uint16         { return uint16(c >> afterShift & stateMask) }
func (c cookie) signature() uint32     { return uint32(c >> signatureShift & signatureMask) }
func (c cookie) has(flags cookie) bool { return c&flags != 0 }

// The state of a single thread is in its timer slack, if its process's cookie
// says so: clone(2) copies it to the new thread and to the only thread of a new
// process. Which state it is, the nanoseconds above the default of 50 µs tell:
// they delay no timer that anybody would notice.
const (
	defaultSlack = 50_000
	firstSlack   = defaultSlack + 1
	lastSlack    = firstSlack + maxStates - 1
	// hiddenSlack stands for one of these numbers that the program itself has set.
	hiddenSlack = lastSlack + 1
)

func slackOf(state uint16) uint64 { return firstSlack + uint64(state) }

// stateOf returns the state that a timer slack names.
func stateOf(slack uint64) (state uint16, ok bool) {
	if slack < firstSlack || slack > lastSlack {
		return 0, false
	}
	return uint16(slack - firstSlack), true
}

// Hidden tells whether a timer slack, in nanoseconds, is one that a program must
// not have in the kernel.
func Hidden(slack uint64) bool { return slack >= firstSlack && slack <= hiddenSlack }

// kernelSlack is the timer slack that the kernel is to have for a thread that has
// the state of its process.
func (s *State) kernelSlack() uint64 {
	switch {
	case s.Slack == 0:
		return defaultSlack
	case Hidden(s.Slack):
		return hiddenSlack
	}
	return s.Slack
}
