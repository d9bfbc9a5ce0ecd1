package handlers

import (
	"github.com/rootless-containers/subuidless/internal/cred"
)

// Getuid handles getuid().
func Getuid(c *Call) Result { return c.show(c.shownUID(c.identity().UID.Real)) }

// Geteuid handles geteuid().
func Geteuid(c *Call) Result { return c.show(c.shownUID(c.identity().UID.Effective)) }

// Getgid handles getgid().
func Getgid(c *Call) Result { return c.show(c.shownGID(c.identity().GID.Real)) }

// Getegid handles getegid().
func Getegid(c *Call) Result { return c.show(c.shownGID(c.identity().GID.Effective)) }

// Getresuid handles getresuid(ruid, euid, suid).
func Getresuid(c *Call) Result { return c.showAll(c.shownUIDs()) }

// Getresgid handles getresgid(rgid, egid, sgid).
func Getresgid(c *Call) Result { return c.showAll(c.shownGIDs()) }

// Getuid16 handles the getuid of i386, which returns a 16-bit id.
func Getuid16(c *Call) Result { return c.show(uint32(narrow(c.shownUID(c.identity().UID.Real)))) }

// Geteuid16 handles the geteuid of i386, which returns a 16-bit id.
func Geteuid16(c *Call) Result { return c.show(uint32(narrow(c.shownUID(c.identity().UID.Effective)))) }

// Getgid16 handles the getgid of i386, which returns a 16-bit id.
func Getgid16(c *Call) Result { return c.show(uint32(narrow(c.shownGID(c.identity().GID.Real)))) }

// Getegid16 handles the getegid of i386, which returns a 16-bit id.
func Getegid16(c *Call) Result { return c.show(uint32(narrow(c.shownGID(c.identity().GID.Effective)))) }

// Getresuid16 handles the getresuid of i386, which has 16-bit ids.
func Getresuid16(c *Call) Result { return c.showAll16(c.shownUIDs()) }

// Getresgid16 handles the getresgid of i386, which has 16-bit ids.
func Getresgid16(c *Call) Result { return c.showAll16(c.shownGIDs()) }

// shownUIDs returns the user ids of the caller as it sees them.
func (c *Call) shownUIDs() cred.IDs {
	ids := c.identity().UID
	return cred.IDs{Real: c.shownUID(ids.Real), Effective: c.shownUID(ids.Effective), Saved: c.shownUID(ids.Saved), FS: c.shownUID(ids.FS)}
}

// shownGIDs returns the group ids of the caller as it sees them.
func (c *Call) shownGIDs() cred.IDs {
	ids := c.identity().GID
	return cred.IDs{Real: c.shownGID(ids.Real), Effective: c.shownGID(ids.Effective), Saved: c.shownGID(ids.Saved), FS: c.shownGID(ids.FS)}
}

// show returns an id of the caller. The kernel is right as long as no task has changed its
// ids or entered a user namespace.
func (c *Call) show(id uint32) Result {
	if !c.Identities.InUse() {
		return Continue
	}
	return Return(int(id))
}

// showAll writes the real, effective and saved id to the addresses in the arguments, in
// this order until an address is bad.
func (c *Call) showAll(ids cred.IDs) Result {
	if !c.Identities.InUse() {
		return Continue
	}
	for i, id := range [...]uint32{ids.Real, ids.Effective, ids.Saved} {
		if e := c.write(c.addr(i), bytesOf([]uint32{id})); e != 0 {
			return Errno(e)
		}
	}
	return Errno(0)
}

// showAll16 is showAll for 16-bit ids.
func (c *Call) showAll16(ids cred.IDs) Result {
	if !c.Identities.InUse() {
		return Continue
	}
	for i, id := range [...]uint32{ids.Real, ids.Effective, ids.Saved} {
		if e := c.write(c.addr(i), bytesOf([]uint16{narrow(id)})); e != 0 {
			return Errno(e)
		}
	}
	return Errno(0)
}
