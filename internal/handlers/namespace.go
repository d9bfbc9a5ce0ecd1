package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// User namespaces below that of the container: see cred.Namespace and user_namespaces(7). All
// ids in handlers are those of the container's namespace. What a caller in another one gives is
// translated where a handler reads its arguments (given*), and what it sees where the handler
// answers (shown*). The kernel knows one id in each namespace, so it answers no call that shows
// or takes ids there.

// namespace returns the caller's user namespace; nil is the container's. It costs one comparison
// as long as there is no other.
func (c *Call) namespace() *cred.Namespace {
	if !c.Identities.NamespacesInUse() {
		return nil
	}
	return c.identity().Namespace
}

// shownUID translates a user id to what the caller sees.
func (c *Call) shownUID(id uint32) uint32 {
	if n := c.namespace(); n != nil {
		return n.ShownUID(id)
	}
	return id
}

// shownGID translates a group id to what the caller sees.
func (c *Call) shownGID(id uint32) uint32 {
	if n := c.namespace(); n != nil {
		return n.ShownGID(id)
	}
	return id
}

// shown translates the owner of an inode with the status st to what the caller sees. Recorded is
// the owner in its record.
func (c *Call) shown(recorded owner.ID, st owner.ID) owner.ID {
	n := c.namespace()
	if n == nil {
		return recorded.Over(st)
	}
	id := recorded.Over(c.mapped(st))
	return owner.ID{UID: n.ShownUID(id.UID), GID: n.ShownGID(id.GID)}
}

// givenUID translates a user id that the caller gives. The id -1, which means none, stays. The
// error is EINVAL if the id is not mapped.
//
// user_namespaces(7): "When a process accesses a file [...]" or "calls setuid(2) and its relatives
// with an id that is not mapped", the error is EINVAL.
func (c *Call) givenUID(id uint32) (uint32, unix.Errno) {
	if n := c.namespace(); n != nil && id != owner.Noop {
		return mappedOnly(n.UID(id))
	}
	return id, 0
}

// givenGID is givenUID for a group id.
func (c *Call) givenGID(id uint32) (uint32, unix.Errno) {
	if n := c.namespace(); n != nil && id != owner.Noop {
		return mappedOnly(n.GID(id))
	}
	return id, 0
}

func mappedOnly(id uint32) (uint32, unix.Errno) {
	if id == owner.Noop {
		return id, unix.EINVAL
	}
	return id, 0
}

// given translates an owner that the caller gives.
func (c *Call) given(id owner.ID) (owner.ID, unix.Errno) {
	uid, e := c.givenUID(id.UID)
	if e != 0 {
		return id, e
	}
	gid, e := c.givenGID(id.GID)
	return owner.ID{UID: uid, GID: gid}, e
}

// identityIn returns the caller's credentials for objects in its namespace of that kind, a name
// in /proc/TID/ns: without capabilities if these do not count there.
//
// user_namespaces(7): "when a process [...] performs a privileged operation on the resource", the
// kernel checks the capability "in the user namespace that owns that namespace".
func (c *Call) identityIn(kind string) cred.Credentials {
	s := c.identity().Credentials
	if s.Namespace == nil {
		return s
	}
	return c.identityOver(c.Target.NamespaceOwner(kind))
}

// identityOver is identityIn for a namespace that the user namespace fd owns. It closes fd. An error
// e other than 0 means that the namespace is one of the host.
func (c *Call) identityOver(fd int, e unix.Errno) cred.Credentials {
	s := c.identity().Credentials
	if e != 0 {
		s.Effective = 0
		return s
	}
	defer unix.Close(fd)
	if n, ok := c.Identities.FindNamespace(fd); !ok || !n.IsBelow(s.Namespace) {
		s.Effective = 0
	}
	return s
}

// namespaceOwnerUID handles ioctl(fd, NS_GET_OWNER_UID, uid).
//
// NS_GET_OWNER_UID(2const): it "returns [...] the owner user ID of the namespace".
func (c *Call) namespaceOwnerUID() Result {
	fd, e := c.Target.Dup(c.int32(0))
	if e != 0 {
		return Continue
	}
	defer unix.Close(fd)
	if kind, e := sys.IoctlInt(fd, unix.NS_GET_NSTYPE, 0); e != 0 || kind != unix.CLONE_NEWUSER {
		return Continue // ENOTTY or EINVAL
	}
	n, ok := c.Identities.FindNamespace(fd)
	if !ok || n == nil {
		return Continue
	}
	return Errno(c.write(c.addr(2), bytesOf([]uint32{c.shownUID(n.Owner)})))
}
