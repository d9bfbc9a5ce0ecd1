package identity

import (
	"bufio"
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
)

// User is who the first program of a container, or a further one that a runtime
// starts in it, is to be: the user of the OCI runtime specification's process.
type User struct {
	UID            uint32
	GID            uint32
	AdditionalGids []uint32
}

// A program that is yet to be started is noted by the index of the state that
// has its ids, plus 1.
const (
	startMask   = 1<<16 - 1
	startOwnIDs = 1 << 31 // who the runtime has become by itself
)

func startOf(v uint32) (state uint16, ok bool) { return uint16(v&startMask - 1), v&startMask != 0 }

// Prepare notes that the program of a listener is yet to be started, as u. Nil
// means: as who the runtime, which does that, has become.
func (t *Table) Prepare(listener int, u *User) error {
	if u == nil {
		atomic.StoreUint32(&t.shared.begun[listener], initial+1|startOwnIDs)
		return nil
	}
	s, err := u.state()
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	i, e := t.index(&s)
	if e != 0 {
		return fmt.Errorf("no room in the table of identities: %w", e)
	}
	atomic.StoreUint32(&t.shared.begun[listener], uint32(i)+1)
	return nil
}

// state returns the state of u, with all capabilities.
func (u *User) state() (State, error) {
	s := Root()
	s.UID = cred.IDs{Real: u.UID, Effective: u.UID, Saved: u.UID, FS: u.UID}
	s.GID = cred.IDs{Real: u.GID, Effective: u.GID, Saved: u.GID, FS: u.GID}
	c, e := s.Setgroups(u.AdditionalGids)
	if e != 0 {
		return State{}, fmt.Errorf("%d additional groups: %w", len(u.AdditionalGids), e)
	}
	s.Credentials = c
	return s, nil
}

// Mark gives the process pid the identity of its container's first program, which
// it is about to execute; Started then says who that is. The caller need not be in
// the container's user namespace.
func Mark(pid uint32) error {
	var l unix.Rlimit
	e := prlimit(pid, nil, &l)
	if e == 0 {
		l.Cur = markedTag<<tagShift | program
		e = prlimit(pid, &l, nil)
	}
	if e != 0 {
		return fmt.Errorf("prlimit of RLIMIT_LOCKS: %w (the identity of a process is kept there; its hard limit must be unlimited)", e)
	}
	return nil
}

// Started says that the marked process tid has been given the identity u.
func (t *Table) Started(tid uint32, u *User) error {
	s, err := u.state()
	if err != nil {
		return err
	}
	if err := t.capabilities(tid, &s); err != nil {
		return err
	}
	t.put(program, &s)
	atomic.StoreUint32(&t.shared.inUse, 1)
	return nil
}

// capabilities gives s, who the task tid is to be and the kernel does not know of, its
// capabilities.
func (t *Table) capabilities(tid uint32, s *State) error {
	if err := t.kernelCaps(tid, s); err != nil {
		return err
	}
	if s.UID.Effective != 0 {
		// execve(2) leaves a user other than root what the runtime has made ambient.
		s.Permitted = s.Ambient
	} else {
		// Also where root is not the id that is mapped, and the kernel has given
		// the task no capability.
		s.Permitted |= s.Bounding
	}
	s.Effective = s.Permitted
	return nil
}

// InRuntime tells whether the program of a listener is yet to be started: its
// calls are those of the runtime, or of the stage.
func (t *Table) InRuntime(listener int) bool {
	return atomic.LoadUint32(&t.shared.begun[listener]) != 0
}

// Begin gives the task tid the state of the program of a listener, which it is
// about to execute.
func (t *Table) Begin(listener int, tid uint32) error {
	v := atomic.LoadUint32(&t.shared.begun[listener])
	i, ok := startOf(v)
	if !ok {
		return nil
	}
	s := t.state(i)
	var err error
	if v&startOwnIDs != 0 {
		var e unix.Errno
		if s, e = t.Self(tid, waits{}); e != 0 {
			return e
		}
		err = t.kernelCaps(tid, &s)
	} else {
		err = t.capabilities(tid, &s)
	}
	if err != nil {
		return err
	}
	var l unix.Rlimit
	if e := prlimit(tid, nil, &l); e != 0 {
		return e
	}
	if !t.owns(cookie(l.Cur)) {
		s.Locks = l
	}
	if err := t.begin(tid, &s); err != nil {
		return err
	}
	atomic.StoreUint32(&t.shared.begun[listener], 0)
	return nil
}

func (t *Table) begin(tid uint32, s *State) error {
	if t.beginInitial(s) {
		return nil
	}
	if own, e := t.Self(tid, waits{}); e == 0 && own.Equal(s) {
		return nil
	}
	if e := t.Set(tid, s); e != 0 {
		return fmt.Errorf("noting the identity of the container's program: %w", e)
	}
	return nil
}

// beginInitial makes s the initial state, if it differs from that only in what the
// kernel shows of a task without a cookie, and no other program has begun. Who cannot reach
// every file is not the one for whom the kernel decides while no cookie is in use.
func (t *Table) beginInitial(s *State) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.state(initial)
	if t.InUse() || t.shared.begins != 0 || s.UID != now.UID || s.GID != now.GID || len(s.Groups) != 0 || !s.ReachesAll() {
		return false
	}
	t.put(initial, s)
	t.shared.begins = 1
	return true
}

// kernelCaps replaces the capabilities in s by those that the kernel shows for a task.
func (t *Table) kernelCaps(tid uint32, s *State) error {
	var b [8192]byte
	n, e := t.read(tid, "status", b[:])
	if e != 0 {
		return fmt.Errorf("reading the capabilities of process %d: %w", tid, e)
	}
	sets := map[string]*cred.Caps{
		"CapInh": &s.Inheritable, "CapPrm": &s.Permitted, "CapEff": &s.Effective, "CapBnd": &s.Bounding, "CapAmb": &s.Ambient,
	}
	found := 0
	for lines := bufio.NewScanner(bytes.NewReader(b[:n])); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ":\t")
		set, ok := sets[name]
		if !ok {
			continue
		}
		v, err := strconv.ParseUint(value, 16, 64)
		if err != nil {
			return fmt.Errorf("/proc/%d/status: %w", tid, err)
		}
		*set = cred.Caps(v)
		found++
	}
	if found != len(sets) {
		return fmt.Errorf("/proc/%d/status has %d sets of capabilities, want %d", tid, found, len(sets))
	}
	return nil
}
