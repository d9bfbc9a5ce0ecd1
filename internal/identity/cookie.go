package identity

// cookie is what the kernel carries of a process's identity: the soft limit of
// RLIMIT_LOCKS. setrlimit(2): "This limit is ignored" since Linux 2.4.25. fork(2)
// copies it, execve(2) keeps it, and the supervisor reads and writes it with one
// prlimit(2). So an identity needs no table of processes, is exact for a child
// whose parent has died, and is gone when its last process is.
//
//	63  62..56  55         54       53..32     31..16  15..0
//	0   magic   perThread  pending  signature  after   state
//
// A limit that is no cookie belongs to a process that has the initial state.
type cookie uint64

const (
	magic      cookie = 0x53 << 56
	magicMask  cookie = 0xff << 56
	perThread  cookie = 1 << 55 // threads may have a state of their own, in their timer slack
	pending    cookie = 1 << 54 // an execve(2) is under way that is to give the state "after"
	signatures        = 1<<22 - 1
)

func newCookie(state uint16) cookie { return magic | cookie(state) }

// expect returns c as it is while the process executes a program that is to give
// it the state after. Signature is that of its memory before.
func (c cookie) expect(after uint16, signature uint32) cookie {
	return c.settled() | pending | cookie(signature&signatures)<<32 | cookie(after)<<16
}

// settled returns c without what belongs to an execve(2) under way.
func (c cookie) settled() cookie { return c & (magicMask | perThread | 0xffff) }

func (c cookie) valid() bool       { return c&magicMask == magic }
func (c cookie) state() uint16     { return uint16(c) }
func (c cookie) after() uint16     { return uint16(c >> 16) }
func (c cookie) signature() uint32 { return uint32(c>>32) & signatures }
func (c cookie) has(flag cookie) bool {
	return c&flag != 0
}

// The state of a single thread is in its timer slack, if its process's cookie
// says so: clone(2) copies it to the new thread and to the only thread of a new
// process. Which state it is, the nanoseconds above the default of 50 µs tell:
// they delay no timer that anybody would notice.
const (
	defaultSlack = 50_000
	firstSlack   = defaultSlack + 1
	lastSlack    = firstSlack + maxStates - 1
)

func slackOf(state uint16) uint64 { return firstSlack + uint64(state) }

// stateOf returns the state that a timer slack names.
func stateOf(slack uint64) (state uint16, ok bool) {
	if slack < firstSlack || slack > lastSlack {
		return 0, false
	}
	return uint16(slack - firstSlack), true
}

// NamesState tells whether a timer slack that a program asks for, in
// nanoseconds, would be taken for one that names a state.
func NamesState(slack uint64) bool {
	_, ok := stateOf(slack)
	return ok
}
