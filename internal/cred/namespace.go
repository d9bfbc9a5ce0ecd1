package cred

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/idmap"
)

// Namespace is a user namespace that a task of the container has created: see
// user_namespaces(7). The container's own is nil.
//
// Credentials, owners of inodes and the outside ids of maps are ids of the container's
// namespace, however deep the nesting is. So two ids are those of the same user if they are
// equal, and one look-up translates between them and what a task sees.
//
// All fields except those with methods are constant. Two namespaces are the same if the
// pointers are equal.
type Namespace struct {
	Index        uint32     // in the table of package identity
	Parent       *Namespace // nil: the container's
	Owner        uint32     // effective user id of the creator
	Group        uint32     // effective group id of the creator
	CouldSetfcap bool       // the creator had CAP_SETFCAP

	uids, gids      atomic.Pointer[idmap.Map]
	setgroupsDenied atomic.Bool
}

// UIDs returns the uid_map; it is empty until the file has been written.
func (n *Namespace) UIDs() idmap.Map { return load(&n.uids) }

// GIDs returns the gid_map; it is empty until the file has been written.
func (n *Namespace) GIDs() idmap.Map { return load(&n.gids) }

func load(p *atomic.Pointer[idmap.Map]) idmap.Map {
	if m := p.Load(); m != nil {
		return *m
	}
	return nil
}

// SetUIDs sets the uid_map. It can be set once.
func (n *Namespace) SetUIDs(m idmap.Map) { n.uids.Store(&m) }

// SetGIDs sets the gid_map. It can be set once.
func (n *Namespace) SetGIDs(m idmap.Map) { n.gids.Store(&m) }

// SetgroupsDenied reports whether /proc/PID/setgroups is "deny". A child namespace has inherited
// it.
func (n *Namespace) SetgroupsDenied() bool { return n != nil && n.setgroupsDenied.Load() }

// DenySetgroups sets /proc/PID/setgroups to "deny" for good.
func (n *Namespace) DenySetgroups() { n.setgroupsDenied.Store(true) }

// UID translates a user id that a task in n uses; -1 if it is not mapped. It is make_kuid of the
// kernel.
func (n *Namespace) UID(id uint32) uint32 {
	if n == nil {
		return id
	}
	return n.UIDs().ToOutside(id)
}

// GID is UID for a group id.
func (n *Namespace) GID(id uint32) uint32 {
	if n == nil {
		return id
	}
	return n.GIDs().ToOutside(id)
}

// SeenUID translates a user id to what a task in n sees; -1 if it is not mapped. It is from_kuid
// of the kernel.
func (n *Namespace) SeenUID(id uint32) uint32 {
	if n == nil {
		return id
	}
	return n.UIDs().ToInside(id)
}

// SeenGID is SeenUID for a group id.
func (n *Namespace) SeenGID(id uint32) uint32 {
	if n == nil {
		return id
	}
	return n.GIDs().ToInside(id)
}

// ShownUID is SeenUID, with the overflow id instead of -1. It is from_kuid_munged of the kernel.
//
// user_namespaces(7): "There are various places where an unmapped user ID (group ID) may be
// exposed to user space. [...] an unmapped user ID is converted to the overflow user ID".
func (n *Namespace) ShownUID(id uint32) uint32 { return shown(n.SeenUID(id)) }

// ShownGID is ShownUID for a group id.
func (n *Namespace) ShownGID(id uint32) uint32 { return shown(n.SeenGID(id)) }

func shown(id uint32) uint32 {
	if id == idmap.None {
		return idmap.Overflow
	}
	return id
}

// MapsUID reports whether the user id is mapped in n.
func (n *Namespace) MapsUID(id uint32) bool { return n == nil || n.SeenUID(id) != idmap.None }

// Maps reports whether both ids are mapped in n.
func (n *Namespace) Maps(uid, gid uint32) bool {
	return n.MapsUID(uid) && (n == nil || n.SeenGID(gid) != idmap.None)
}

// Holder returns the namespace that the memory of a process belongs to, if the process executes
// a program in n that belongs to these ids, and that it may not read. It is n or one above it.
//
// In would_dump of fs/exec.c: "Ensure mm->user_ns contains the executable".
func (n *Namespace) Holder(uid, gid uint32) *Namespace {
	for !n.Maps(uid, gid) {
		n = n.Parent
	}
	return n
}

// root returns the id that is 0 in n; -1 if there is none.
func (n *Namespace) root() uint32 { return n.UID(0) }

// HasRoot reports whether uid is 0 in n, or in a namespace that contains n.
//
// capabilities(7): capabilities of a file "are conferred only if the binary is executed by a
// process that resides in a user namespace whose UID 0 maps to the root user ID that is saved in
// the extended attribute, or when executed by a process that resides in a descendant of such a
// namespace."
func (n *Namespace) HasRoot(uid uint32) bool {
	for ; n != nil; n = n.Parent {
		if n.SeenUID(uid) == 0 {
			return true
		}
	}
	return uid == 0
}

// IsBelow reports whether n is other, or a descendant of it.
func (n *Namespace) IsBelow(other *Namespace) bool {
	for ; n != nil; n = n.Parent {
		if n == other {
			return true
		}
	}
	return other == nil
}

// CapableIn reports whether the capability, unix.CAP_*, is effective in the namespace n.
//
// user_namespaces(7): "A process has a capability inside a user namespace if it is a member of
// that namespace and it has the capability in its effective capability set." "If a process has a
// capability in a user namespace, then it has that capability in all child (and further removed
// descendant) namespaces as well." "A process that resides in the parent of the user namespace
// and whose effective user ID matches the owner of the namespace has all capabilities in the
// namespace."
func (c Credentials) CapableIn(n *Namespace, capability int) bool {
	if !n.IsBelow(c.Namespace) {
		return false
	}
	for ; n != c.Namespace; n = n.Parent {
		if n.Parent == c.Namespace && n.Owner == c.UID.Effective {
			return true
		}
	}
	return c.Capable(capability)
}

// CapableOver reports whether the capability is effective for an inode with the owner uid and
// gid. It is capable_wrt_inode_uidgid of the kernel.
//
// user_namespaces(7): a process "has a capability with respect to a file" if it has it in its
// user namespace, and "the file's user ID and group ID both have valid mappings in the user
// namespace".
func (c *Credentials) CapableOver(uid, gid uint32, capability int) bool {
	return c.Capable(capability) && c.Namespace.Maps(uid, gid)
}

// CapableInContainer reports whether the capability is effective in the container's user
// namespace: where the kernel requires it in the initial one, which no nested namespace gives.
func (c *Credentials) CapableInContainer(capability int) bool {
	return c.Namespace == nil && c.Capable(capability)
}

// Enter returns c in the namespace n, after clone(2) or unshare(2) has created it, or setns(2)
// entered it.
//
// user_namespaces(7): "The child process created by clone(2) with the CLONE_NEWUSER flag starts
// out with a complete set of capabilities in the new user namespace." capabilities(7): the
// bounding set is full, and the inheritable and ambient sets are empty; of securebits, "all of
// the flags are cleared".
func (c Credentials) Enter(n *Namespace) Credentials {
	c.Namespace = n
	c.Permitted, c.Effective, c.Bounding = AllCaps, AllCaps, AllCaps
	c.Inheritable, c.Ambient = 0, 0
	c.Securebits = 0
	return c
}

// MayCreateNamespace decides whether the thread may create a user namespace. The error is EPERM.
//
// clone(2), CLONE_NEWUSER: "EPERM [...] either the effective user ID or the effective group ID
// of the caller does not have a mapping in the parent namespace".
func (c Credentials) MayCreateNamespace() unix.Errno {
	if !c.Namespace.Maps(c.UID.Effective, c.GID.Effective) {
		return unix.EPERM
	}
	return 0
}
