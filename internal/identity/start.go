package identity

import (
	"bufio"
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
)

// User is the user of a container's first program, or of a program that a runtime's
// exec starts: process.user of the OCI runtime specification.
type User struct {
	UID            uint32   // emulated user id
	GID            uint32   // emulated group id
	AdditionalGids []uint32 // supplementary groups
	// Without are capabilities that neither the program has nor those that it executes, even if the
	// kernel grants them.
	Without cred.Caps `json:",omitempty"`
}

// An element of shared.toStart is 0, or the index of the state that the program gets,
// plus 1. With startRuntimeIDs, the program gets the ids of the runtime's process
// instead.
const (
	startMask       = 1<<16 - 1
	startRuntimeIDs = 1 << 31
)

// startState returns the state in an element of shared.toStart.
func startState(v uint32) (state uint16, ok bool) { return uint16(v&startMask - 1), v&startMask != 0 }

// Prepare notes that the program of a listener has not started yet, and will get the
// identity of u. If u is nil, it gets the ids that the runtime's process has by then.
// Listener is an index below MaxListeners. The error is about too many groups or a
// full table.
func (t *Table) Prepare(listener int, u *User) error {
	if u == nil {
		atomic.StoreUint32(&t.shared.toStart[listener], initial+1|startRuntimeIDs)
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
		return fmt.Errorf("the container already uses the maximum number of distinct identities: %w", e)
	}
	atomic.StoreUint32(&t.shared.toStart[listener], uint32(i)+1)
	return nil
}

// state returns the state of u, with all capabilities that it may have.
func (u *User) state() (State, error) {
	if u.UID == math.MaxUint32 || u.GID == math.MaxUint32 {
		return State{}, fmt.Errorf("user %d:%d: no process can have the id -1", u.UID, u.GID)
	}
	s := Root()
	s.UID = cred.IDs{Real: u.UID, Effective: u.UID, Saved: u.UID, FS: u.UID}
	s.GID = cred.IDs{Real: u.GID, Effective: u.GID, Saved: u.GID, FS: u.GID}
	c, e := s.Setgroups(u.AdditionalGids)
	if e != 0 {
		return State{}, fmt.Errorf("%d additional groups: %w", len(u.AdditionalGids), e)
	}
	s.Credentials = c
	s.remove(u.Without)
	return s, nil
}

// remove removes capabilities from all sets.
func (s *State) remove(caps cred.Caps) {
	for _, set := range []*cred.Caps{&s.Inheritable, &s.Permitted, &s.Effective, &s.Bounding, &s.Ambient} {
		*set &^= caps
	}
}

// Mark gives the process pid the identity of its container's first program, which it is
// about to execute; Table.Started then sets that identity. The caller need not be in
// the container's user namespace, or have a Table. It fails if the hard RLIMIT_LOCKS
// of the process is not unlimited, or the process belongs to another user.
func Mark(pid uint32) error {
	var l unix.Rlimit
	e := prlimit(pid, nil, &l)
	if e == 0 {
		l.Cur = markedTag<<tagShift | program
		e = prlimit(pid, &l, nil)
	}
	if e != 0 {
		return fmt.Errorf("prlimit of RLIMIT_LOCKS: %w (it stores the identity of a process; the hard limit must be unlimited)", e)
	}
	return nil
}

// Started sets the identity of the marked process tid to that of u.
func (t *Table) Started(tid uint32, u *User) error {
	s, err := u.state()
	if err != nil {
		return err
	}
	if err := t.grantCaps(tid, &s); err != nil {
		return err
	}
	t.put(program, &s)
	atomic.StoreUint32(&t.shared.inUse, 1)
	return nil
}

// grantCaps sets the capabilities of s, the identity that the task tid gets when it
// executes the program of a container. Those that its bounding set lacks, it does not get.
func (t *Table) grantCaps(tid uint32, s *State) error {
	without := cred.AllCaps &^ s.Bounding
	if err := t.readCaps(tid, s); err != nil {
		return err
	}
	if s.UID.Effective != 0 {
		// execve(2) leaves a user other than root the ambient capabilities, which the
		// runtime has set.
		s.Permitted = s.Ambient
	} else {
		// The kernel may have granted none, because it maps another id than root.
		s.Permitted |= s.Bounding
	}
	s.Effective = s.Permitted
	s.remove(without)
	return nil
}

// InRuntime reports whether the program of a listener has not started yet: then the
// runtime, or the stage, makes the calls.
func (t *Table) InRuntime(listener int) bool {
	return atomic.LoadUint32(&t.shared.toStart[listener]) != 0
}

// Begin gives the task tid the identity that Prepare has set for the program of a
// listener. The task waits for the answer to the execve(2) of that program. Begin does
// nothing if the program has started already.
func (t *Table) Begin(listener int, tid uint32) error {
	v := atomic.LoadUint32(&t.shared.toStart[listener])
	i, ok := startState(v)
	if !ok {
		return nil
	}
	s := t.state(i)
	var err error
	if v&startRuntimeIDs != 0 {
		var e unix.Errno
		if s, e = t.Self(tid, assumeWaiting{}); e != 0 {
			return e
		}
		err = t.readCaps(tid, &s)
	} else {
		err = t.grantCaps(tid, &s)
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
	if err := t.startAs(tid, &s); err != nil {
		return err
	}
	atomic.StoreUint32(&t.shared.toStart[listener], 0)
	return nil
}

// startAs makes s the state of the task tid, unless it has that state already.
func (t *Table) startAs(tid uint32, s *State) error {
	if t.makeInitial(s) {
		return nil
	}
	if own, e := t.Self(tid, assumeWaiting{}); e == 0 && own.Equal(s) {
		return nil
	}
	if e := t.Set(tid, s); e != 0 {
		return fmt.Errorf("cannot set the identity of the container's program: %w", e)
	}
	return nil
}

// makeInitial makes s the initial state, and reports whether it has. Then no task needs
// a cookie, and calls cost nothing until a task changes its identity. It is possible
// for the first program only, if s has the mapped ids and no groups, and if s may
// access every file: while no cookie is in use, permissions are not checked.
func (t *Table) makeInitial(s *State) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.state(initial)
	if t.InUse() || t.shared.initialTaken != 0 || s.UID != now.UID || s.GID != now.GID || len(s.Groups) != 0 || !s.ReachesAll() {
		return false
	}
	t.put(initial, s)
	t.shared.initialTaken = 1
	return true
}

// readCaps sets the capabilities of s to those that the kernel shows for the task tid.
func (t *Table) readCaps(tid uint32, s *State) error {
	var b [8192]byte
	n, e := t.read(tid, "status", b[:])
	if e != 0 {
		return fmt.Errorf("cannot read the capabilities of process %d: %w", tid, e)
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
