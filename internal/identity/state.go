// Package identity stores the identity of each task of a container: its emulated
// credentials. The kernel sees a single user. Distinct identities are in a table, in
// shared memory that outlives the worker; the kernel stores the index of an entry for
// each process, as its soft RLIMIT_LOCKS (see cookie), and for a thread that differs
// from its process, as its timer slack.
//
// # Locks and ownership
//
// Table.mu is the only mutex. While it is held, nothing but system calls happens, if need be in
// a child process, so it may be acquired under any lock of a caller. It is held from the moment a state gets
// an index until a task has it, because reclaim would free the index otherwise, and
// wherever a cookie or a timer slack that holds a state changes. A change reads the
// cookie first and writes it later; the kernel does not compare.
//
// The table itself (type shared) is a mapping of the journal's file. The worker is the
// only process that writes to it; after its death, the next worker takes it over in
// whatever state it is. So a write that others depend on is one atomic store, and
// comes last: shared.hashes[i] makes the entry i valid. An entry does not change while
// its hash is set, except for the entries initial and program at the start; readers
// need no lock. Fields:
//
//   - tag, fixed[initial]: written by Map, before there are other users.
//   - inUse, moved, serving: atomic; set for good before the first task gets a state other than
//     initial, or another user namespace, or serves a file system.
//   - toStart: atomic; one element for each listener.
//   - initialTaken, top, hashes, fixed, groups, namespaces: written under mu.
//
// The kernel changes cookies and timer slacks by itself, when tasks fork, and a task
// may exit at any time.
package identity

import (
	"slices"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
)

// State is the identity of a task, together with the values that the program has set
// where the kernel stores a reference to the identity instead.
type State struct {
	cred.Credentials

	// Locks is the RLIMIT_LOCKS that the program has set, and sees.
	Locks unix.Rlimit
	// Undumpable means that the "dumpable" attribute of the process is not 1,
	// so that other users may not inspect it: see PR_SET_DUMPABLE in prctl(2). All threads of
	// a process have the same value.
	Undumpable bool
	// RootDumps means that the attribute is 2, and not 0: only root may read a core dump.
	RootDumps bool
	// Serves means that the process serves a file system: its calls on files show and change
	// what the kernel stores, and the records are file attributes like others.
	Serves bool
	// Program is the user namespace in which the process has executed its program; nil is the
	// container's. Its root owns the files in /proc of an undumpable process.
	Program *cred.Namespace
	// Slack is the timer slack that the program has set, in nanoseconds; 0 is the
	// default.
	Slack uint64
}

// Unlimited is the RLIMIT_LOCKS of a program that has not set it.
var Unlimited = unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}

// Root returns the state of root with all capabilities.
func Root() State { return State{Credentials: cred.Root(), Locks: Unlimited} }

// Nobody returns the state of a task that has exited: it has no ids and no
// capabilities.
func Nobody() State {
	none := cred.IDs{Real: ^uint32(0), Effective: ^uint32(0), Saved: ^uint32(0), FS: ^uint32(0)}
	return State{Credentials: cred.Credentials{UID: none, GID: none}, Locks: Unlimited}
}

// Dumpable returns the "dumpable" attribute: the value of PR_GET_DUMPABLE in prctl(2).
func (s *State) Dumpable() int {
	switch {
	case s.RootDumps:
		return 2
	case s.Undumpable:
		return 0
	}
	return 1
}

// SetDumpable sets the "dumpable" attribute.
func (s *State) SetDumpable(value int) { s.Undumpable, s.RootDumps = value != 1, value == 2 }

// IsRoot reports whether all ids are 0.
func (s *State) IsRoot() bool { return s.UID == cred.IDs{} && s.GID == cred.IDs{} }

// fixed is a State without its groups, as the table stores it.
type fixed struct {
	uid, gid                                             cred.IDs
	inheritable, permitted, effective, bounding, ambient cred.Caps
	securebits                                           uint32
	groups                                               uint32 // their number
	locks                                                unix.Rlimit
	slack                                                uint64
	namespace                                            uint32 // index
	program                                              uint32 // index, times programIndex, plus flags
}

// The flags in fixed.program, and what its index is multiplied by.
const (
	programUndumpable = 1 << iota
	programRootDumps
	programServes
	programIndex
)

// fixed returns s as the table stores it.
func (s *State) fixed() fixed {
	var namespace, program uint32
	if s.Namespace != nil {
		namespace = s.Namespace.Index
	}
	if s.Program != nil {
		program = s.Program.Index * programIndex
	}
	if s.Undumpable {
		program |= programUndumpable
	}
	if s.RootDumps {
		program |= programRootDumps
	}
	if s.Serves {
		program |= programServes
	}
	return fixed{
		uid: s.UID, gid: s.GID,
		inheritable: s.Inheritable, permitted: s.Permitted, effective: s.Effective, bounding: s.Bounding, ambient: s.Ambient,
		securebits: s.Securebits,
		groups:     uint32(len(s.Groups)),
		locks:      s.Locks,
		slack:      s.Slack,
		namespace:  namespace,
		program:    program,
	}
}

// state returns the State of f, whose groups are the first of groups, without its namespaces.
func (f *fixed) state(groups []uint32) State {
	return State{
		Credentials: cred.Credentials{
			UID: f.uid, GID: f.gid,
			Inheritable: f.inheritable, Permitted: f.permitted, Effective: f.effective, Bounding: f.bounding, Ambient: f.ambient,
			Securebits: f.securebits,
			Groups:     groups[:f.groups:f.groups],
		},
		Locks: f.locks,
		Slack: f.slack,

		Undumpable: f.program&programUndumpable != 0,
		RootDumps:  f.program&programRootDumps != 0,
		Serves:     f.program&programServes != 0,
	}
}

// Equal reports whether s and o are the same state, with the same groups in the same
// order.
func (s *State) Equal(o *State) bool {
	return s.fixed() == o.fixed() && slices.Equal(s.Groups, o.Groups)
}
