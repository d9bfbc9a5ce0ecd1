package identity

import (
	"strconv"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Get returns the state of the task tid, a thread that waits for an answer or
// another one of the container. The state's groups must not be changed. The
// error is ESRCH if there is no such task, or EPERM if it is none of this user.
func (t *Table) Get(tid uint32) (State, unix.Errno) {
	if !t.InUse() {
		return t.state(initial), 0
	}
	c, e := getCookie(tid)
	if e != 0 {
		return State{}, e
	}
	if !c.valid() {
		return t.state(initial), 0
	}
	if c.has(pending) {
		return t.executing(tid, c)
	}
	if c.has(perThread) {
		return t.ofThread(tid, c)
	}
	return t.state(c.state()), 0
}

// Set makes s the state of the thread tid, which waits for an answer: of its
// process, if that has no other thread. Errors are EAGAIN if there is no room
// for another state, and ESRCH if the thread is gone.
func (t *Table) Set(tid uint32, s *State) unix.Errno {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, e := t.index(s)
	if e != 0 {
		return e
	}
	atomic.StoreUint32(&t.shared.inUse, 1) // before a task has another state
	c, e := getCookie(tid)
	if e != 0 {
		return e
	}
	if !c.valid() {
		c = newCookie(initial)
	}
	alone, e := t.alone(tid)
	switch {
	case e != 0:
		return e
	case alone:
		return t.setProcess(tid, c, i, s)
	}
	return t.setThread(tid, c.settled(), i)
}

// setProcess makes i the state of the process of the thread tid, which is its
// only one. C is its cookie.
func (t *Table) setProcess(tid uint32, c cookie, i uint16, s *State) unix.Errno {
	e := setCookie(tid, newCookie(i))
	if e == 0 && c.has(perThread) {
		e = t.setSlack(tid, shownSlack(s))
	}
	return e
}

// setThread makes i the state of the thread tid alone. C is its process's cookie.
func (t *Table) setThread(tid uint32, c cookie, i uint16) unix.Errno {
	if !c.has(perThread) {
		if e := setCookie(tid, c|perThread); e != 0 {
			return e
		}
	}
	if e := t.setSlack(tid, slackOf(i)); e != 0 {
		return e
	}
	// A thread with a real-time policy has no timer slack: prctl(2), PR_SET_TIMERSLACK,
	// "timer expirations for threads [...] under a real-time policy are not affected".
	// Then all threads of the process share one state.
	if slack, e := t.slack(tid); e != 0 || slack != slackOf(i) {
		return setCookie(tid, newCookie(i)|perThread)
	}
	return 0
}

// Expect notes that the thread tid is about to execute a program which gives it
// the state s if execve(2) succeeds, which nobody will tell: the next look at
// the task finds out.
func (t *Table) Expect(tid uint32, s *State) unix.Errno {
	t.mu.Lock()
	defer t.mu.Unlock()
	after, e := t.index(s)
	if e != 0 {
		return e
	}
	atomic.StoreUint32(&t.shared.inUse, 1)
	c, e := getCookie(tid)
	if e != 0 {
		return e
	}
	if !c.valid() {
		c = newCookie(initial)
	}
	signature, e := t.signature(tid)
	if e != 0 {
		return e
	}
	return setCookie(tid, c.expect(after, signature))
}

// executing returns the state of a task whose process is, or was, about to
// execute a program.
func (t *Table) executing(tid uint32, c cookie) (State, unix.Errno) {
	signature, e := t.signature(tid)
	if e != 0 {
		return State{}, e
	}
	if signature == c.signature() {
		// Not yet, or it failed. As long as there is another thread, that one may
		// be in execve(2).
		if alone, e := t.alone(tid); e != 0 || !alone {
			return t.ofThread(tid, c.settled())
		}
		if e := setCookie(tid, c.settled()); e != 0 {
			return State{}, e
		}
		return t.ofThread(tid, c.settled())
	}
	s := t.state(c.after())
	return s, t.setProcess(tid, c, c.after(), &s)
}

// ofThread returns the state of the thread tid in a process with the cookie c.
func (t *Table) ofThread(tid uint32, c cookie) (State, unix.Errno) {
	if !c.has(perThread) {
		return t.state(c.state()), 0
	}
	slack, e := t.slack(tid)
	if e != 0 {
		return State{}, e
	}
	i, ok := stateOf(slack)
	if !ok {
		i = c.state()
	}
	s := t.state(i)
	// The child of a process with threads, or what it has executed, has one
	// thread again: then its state is found sooner in the cookie.
	if alone, e := t.alone(tid); e == 0 && alone {
		return s, t.setProcess(tid, c, i, &s)
	}
	return s, 0
}

// shownSlack is the timer slack that the kernel is to have for s.
func shownSlack(s *State) uint64 {
	if s.Slack == 0 {
		return defaultSlack
	}
	return s.Slack
}

// PerThread tells whether the thread's timer slack is not its program's own.
func (t *Table) PerThread(tid uint32) bool {
	c, e := getCookie(tid)
	return e == 0 && c.valid() && c.has(perThread)
}

// Own tells whether the task's RLIMIT_LOCKS is not its program's own.
func (t *Table) Own(tid uint32) bool {
	c, e := getCookie(tid)
	return e == 0 && c.valid()
}

func getCookie(tid uint32) (cookie, unix.Errno) {
	var l unix.Rlimit
	e := prlimit(tid, nil, &l)
	return cookie(l.Cur), e
}

func setCookie(tid uint32, c cookie) unix.Errno {
	var old unix.Rlimit
	if e := prlimit(tid, nil, &old); e != 0 {
		return e
	}
	return prlimit(tid, &unix.Rlimit{Cur: uint64(c), Max: old.Max}, nil)
}

// prlimit is prlimit(2) for RLIMIT_LOCKS.
func prlimit(tid uint32, set, get *unix.Rlimit) unix.Errno {
	_, _, e := syscall.RawSyscall6(unix.SYS_PRLIMIT64, uintptr(tid), unix.RLIMIT_LOCKS,
		uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(get)), 0, 0)
	return e
}

// path is the name of a file in the supervisor's /proc.
type path [48]byte

func (p *path) set(tid uint32, name string) *byte {
	b := append(strconv.AppendUint(p[:0], uint64(tid), 10), '/')
	_ = append(append(b, name...), 0)
	return &p[0]
}

func (t *Table) open(tid uint32, name string, flags int) (int, unix.Errno) {
	var p path
	fd, _, e := syscall.RawSyscall6(unix.SYS_OPENAT, uintptr(t.proc), uintptr(unsafe.Pointer(p.set(tid, name))), uintptr(flags|unix.O_CLOEXEC), 0, 0, 0)
	if e == unix.ENOENT {
		e = unix.ESRCH
	}
	return int(fd), e
}

// alone tells whether the thread is the only one of its process.
func (t *Table) alone(tid uint32) (bool, unix.Errno) {
	var p path
	var st unix.Statx_t
	_, _, e := syscall.RawSyscall6(unix.SYS_STATX, uintptr(t.proc), uintptr(unsafe.Pointer(p.set(tid, "task"))), 0,
		unix.STATX_NLINK, uintptr(unsafe.Pointer(&st)), 0)
	if e == unix.ENOENT {
		e = unix.ESRCH
	}
	return st.Nlink == 3, e // ".", the entry in its parent, and one thread
}

// slack returns the timer slack of a thread in nanoseconds.
func (t *Table) slack(tid uint32) (uint64, unix.Errno) {
	var b [24]byte
	n, e := t.read(tid, "timerslack_ns", b[:])
	if e != 0 {
		return 0, e
	}
	var v uint64
	for _, c := range b[:n] {
		if c < '0' || c > '9' {
			break
		}
		v = v*10 + uint64(c-'0')
	}
	return v, 0
}

func (t *Table) setSlack(tid uint32, ns uint64) unix.Errno {
	fd, e := t.open(tid, "timerslack_ns", unix.O_WRONLY)
	if e != 0 {
		return e
	}
	var text [24]byte
	b := strconv.AppendUint(text[:0], ns, 10)
	_, _, e = syscall.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	unix.Close(fd)
	return e
}

func (t *Table) read(tid uint32, name string, b []byte) (int, unix.Errno) {
	fd, e := t.open(tid, name, unix.O_RDONLY)
	if e != 0 {
		return 0, e
	}
	n, _, e := syscall.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	unix.Close(fd)
	return int(n), e
}

// signature tells one program's memory from the next one's: it depends on where
// the kernel has put things, on the 16 random bytes that execve(2) gives to each
// program (getauxval(3), AT_RANDOM), and on the program's file.
func (t *Table) signature(tid uint32) (uint32, unix.Errno) {
	var auxv [512]byte
	n, e := t.read(tid, "auxv", auxv[:])
	if e != 0 {
		return 0, e
	}
	h := fnv32a(fnvOffset, auxv[:n])
	for i := 0; i+16 <= n; i += 16 {
		entry := (*[2]uint64)(unsafe.Pointer(&auxv[i]))
		if entry[0] == auxNull {
			break
		}
		if entry[0] == auxRandom {
			var random [16]byte
			local := unix.Iovec{Base: &random[0], Len: uint64(len(random))}
			remote := [2]uintptr{uintptr(entry[1]), uintptr(len(random))}
			syscall.RawSyscall6(unix.SYS_PROCESS_VM_READV, uintptr(tid), uintptr(unsafe.Pointer(&local)), 1, uintptr(unsafe.Pointer(&remote)), 1, 0)
			h = fnv32a(h, random[:])
		}
	}
	var p path
	var st unix.Statx_t
	_, _, e = syscall.RawSyscall6(unix.SYS_STATX, uintptr(t.proc), uintptr(unsafe.Pointer(p.set(tid, "exe"))), 0,
		unix.STATX_INO, uintptr(unsafe.Pointer(&st)), 0)
	if e != 0 {
		return 0, e
	}
	inode := [2]uint64{uint64(st.Dev_major)<<32 | uint64(st.Dev_minor), st.Ino}
	h = fnv32a(h, unsafe.Slice((*byte)(unsafe.Pointer(&inode)), unsafe.Sizeof(inode)))
	return (h ^ h>>22) & signatures, 0
}

// Entries of the auxiliary vector, <linux/auxvec.h>.
const (
	auxNull   = 0  // AT_NULL
	auxRandom = 25 // AT_RANDOM
)
