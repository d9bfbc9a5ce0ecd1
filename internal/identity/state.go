// Package identity keeps who each task of a container is. The kernel carries an
// index of a table with each process (see cookie), and the table is in memory
// that outlives the worker.
package identity

import (
	"slices"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
)

// State is who a task is, and what it believes of the places where that is kept.
type State struct {
	cred.Credentials

	// Locks is the RLIMIT_LOCKS that the program has set.
	Locks unix.Rlimit
	// Undumpable tells that the kernel would not let others look into the process: its
	// "dumpable" attribute, see PR_SET_DUMPABLE of prctl(2), has been cleared.
	Undumpable bool
	// Slack is the timer slack that the program has set, in nanoseconds, or 0 if
	// it has the default.
	Slack uint64
}

// Unlimited is the RLIMIT_LOCKS of a program that has set none.
var Unlimited = unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}

// Root returns the state of root with all capabilities.
func Root() State { return State{Credentials: cred.Root(), Locks: Unlimited} }

// Nobody returns the state of a task that is gone: it may do nothing any more.
func Nobody() State {
	none := cred.IDs{Real: ^uint32(0), Effective: ^uint32(0), Saved: ^uint32(0), FS: ^uint32(0)}
	return State{Credentials: cred.Credentials{UID: none, GID: none}, Locks: Unlimited}
}

// IsRoot tells whether all ids are 0.
func (s *State) IsRoot() bool { return s.UID == cred.IDs{} && s.GID == cred.IDs{} }

// fixed is a State but for its groups, as the table holds it.
type fixed struct {
	uid, gid                                             cred.IDs
	inheritable, permitted, effective, bounding, ambient cred.Caps
	securebits                                           uint32
	groups                                               uint32 // how many
	locks                                                unix.Rlimit
	slack                                                uint64
	undumpable                                           uint64 // as wide as it is, so that there is no padding
}

func (s *State) fixed() fixed {
	var undumpable uint64
	if s.Undumpable {
		undumpable = 1
	}
	return fixed{
		uid: s.UID, gid: s.GID,
		inheritable: s.Inheritable, permitted: s.Permitted, effective: s.Effective, bounding: s.Bounding, ambient: s.Ambient,
		securebits: s.Securebits,
		groups:     uint32(len(s.Groups)),
		locks:      s.Locks,
		slack:      s.Slack,
		undumpable: undumpable,
	}
}

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

		Undumpable: f.undumpable != 0,
	}
}

// Equal tells whether nothing distinguishes s and o.
func (s *State) Equal(o *State) bool {
	return s.fixed() == o.fixed() && slices.Equal(s.Groups, o.Groups)
}
