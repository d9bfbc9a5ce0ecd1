// Package cred implements credentials(7) and capabilities(7) of a thread as values: how
// system calls change them, and what they permit on other threads. It makes no system
// calls.
//
// The rules are those of Linux 6.18 for a thread in the initial user namespace, which here is the
// container's, or in one below it (Namespace). Ids are emulated ids of the container's namespace.
// Arguments are the values in the registers of the system call; the id -1 is
// 0xffffffff. A method that implements a system call returns the new credentials, or the
// old ones and the error number of that call. The text in quotes is from the man pages.
package cred

import (
	"slices"

	"golang.org/x/sys/unix"
)

// IDs has the real, effective, saved and file system user ids of a thread, or its group
// ids.
type IDs struct{ Real, Effective, Saved, FS uint32 }

// Credentials are the credentials of one thread. They are immutable: a change returns new
// ones, which may share Groups with the old ones.
type Credentials struct {
	UID, GID IDs

	// The thread capability sets.
	Inheritable, Permitted, Effective, Bounding, Ambient Caps

	// Securebits has Secbit flags.
	Securebits uint32

	// Groups are the supplementary group ids in ascending order, as getgroups(2) returns
	// them. Its elements must not be changed.
	Groups []uint32

	// Namespace is the user namespace in which the thread has its capabilities; nil is the
	// container's.
	Namespace *Namespace
}

// Root returns the credentials of the first process of a system: user and group 0, all
// capabilities, no supplementary groups.
func Root() Credentials {
	return Credentials{Permitted: AllCaps, Effective: AllCaps, Bounding: AllCaps}
}

// Equal reports whether c and other are the same credentials.
func (c Credentials) Equal(other Credentials) bool {
	return c.UID == other.UID && c.GID == other.GID &&
		c.Inheritable == other.Inheritable && c.Permitted == other.Permitted && c.Effective == other.Effective &&
		c.Bounding == other.Bounding && c.Ambient == other.Ambient &&
		c.Securebits == other.Securebits && slices.Equal(c.Groups, other.Groups) && c.Namespace == other.Namespace
}

// Capable reports whether the capability, unix.CAP_*, is effective in the thread's user namespace.
//
// capabilities(7), Effective: "This is the set of capabilities used by the kernel
// to perform permission checks for the thread."
func (c Credentials) Capable(capability int) bool { return c.Effective.Has(capability) }

// InGroup reports whether gid is the file system group id or a supplementary group: what
// access to files depends on.
//
// credentials(7), of the file system ids: "These IDs, in conjunction with the
// supplementary group IDs described below, are used to determine permissions for
// accessing files".
func (c Credentials) InGroup(gid uint32) bool {
	_, supplementary := slices.BinarySearch(c.Groups, gid)
	return supplementary || gid == c.GID.FS
}

// MaySetgroups reports whether the thread may call setgroups(2).
//
// setgroups(2): "EPERM The use of setgroups() is denied in this user namespace. See the
// description of /proc/pid/setgroups in user_namespaces(7)." There: it "may not be called [...]
// before /proc/pid/gid_map has been set."
func (c Credentials) MaySetgroups() bool {
	n := c.Namespace
	return c.Capable(unix.CAP_SETGID) && (n == nil || len(n.GIDs()) > 0 && !n.SetgroupsDenied())
}

// MaxGroups is NGROUPS_MAX of <linux/limits.h>.
const MaxGroups = 65536

// Setgroups implements setgroups(2). It copies groups. The error is EPERM or EINVAL.
func (c Credentials) Setgroups(groups []uint32) (Credentials, unix.Errno) {
	// "EPERM The calling process has insufficient privilege (the caller does not
	// have the CAP_SETGID capability in the user namespace in which it resides)."
	if !c.MaySetgroups() {
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
