// Package cred is credentials(7) and capabilities(7) of a thread as values: what
// the system calls that change them make of them, and what they permit towards
// other threads. It makes no system calls.
//
// The rules are those of Linux 6.18 for a thread in the initial user namespace.
// Arguments are what the system call has in its registers; an id of -1 is
// 0xffffffff. A method that fails returns the credentials as they were.
package cred

import (
	"slices"

	"golang.org/x/sys/unix"
)

// IDs are the user ids, or the group ids, of a thread.
type IDs struct{ Real, Effective, Saved, FS uint32 }

// Credentials are those of one thread. They are immutable: a change makes new
// ones, and Groups may be shared among many.
type Credentials struct {
	UID, GID IDs

	// The thread capability sets.
	Inheritable, Permitted, Effective, Bounding, Ambient Caps

	// Securebits are the Secbit flags.
	Securebits uint32

	// Groups are the supplementary group ids, in ascending order, as
	// getgroups(2) shows them. Nobody may change an element.
	Groups []uint32
}

// Root returns the credentials of a process that the kernel starts: user and
// group 0, all capabilities, no supplementary groups.
func Root() Credentials {
	return Credentials{Permitted: AllCaps, Effective: AllCaps, Bounding: AllCaps}
}

// Equal reports whether no thread could tell c from other.
func (c Credentials) Equal(other Credentials) bool {
	return c.UID == other.UID && c.GID == other.GID &&
		c.Inheritable == other.Inheritable && c.Permitted == other.Permitted && c.Effective == other.Effective &&
		c.Bounding == other.Bounding && c.Ambient == other.Ambient &&
		c.Securebits == other.Securebits && slices.Equal(c.Groups, other.Groups)
}

// Capable reports whether the thread may do what needs the capability.
//
// capabilities(7), Effective: "This is the set of capabilities used by the kernel
// to perform permission checks for the thread."
func (c Credentials) Capable(capability int) bool { return c.Effective.Has(capability) }

// InGroup reports whether gid is a group of the thread where files are concerned.
//
// credentials(7), of the file system ids: "These IDs, in conjunction with the
// supplementary group IDs described below, are used to determine permissions for
// accessing files".
func (c Credentials) InGroup(gid uint32) bool { return gid == c.GID.FS || c.supplementary(gid) }

// InEGroup reports whether gid is a group of the thread where other things than
// files are concerned.
func (c Credentials) InEGroup(gid uint32) bool { return gid == c.GID.Effective || c.supplementary(gid) }

func (c Credentials) supplementary(gid uint32) bool {
	_, found := slices.BinarySearch(c.Groups, gid)
	return found
}

// MaxGroups is NGROUPS_MAX.
const MaxGroups = 65536

// Setgroups is setgroups(2). It copies groups.
func (c Credentials) Setgroups(groups []uint32) (Credentials, unix.Errno) {
	// "EPERM The calling process has insufficient privilege (the caller does not
	// have the CAP_SETGID capability in the user namespace in which it resides)."
	if !c.Capable(unix.CAP_SETGID) {
		return c, unix.EPERM
	}
	// "EINVAL size is greater than NGROUPS_MAX"
	if len(groups) > MaxGroups || slices.Contains(groups, invalid) {
		return c, unix.EINVAL
	}
	c.Groups = slices.Clone(groups)
	slices.Sort(c.Groups)
	return c, 0
}
