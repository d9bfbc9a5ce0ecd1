package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/sys"
	"github.com/rootless-containers/subuidless/internal/target"
)

// Calls that need a capability the kernel grants to every task of the container, but that
// the caller no longer has after switching identity. They are refused where the kernel
// would refuse them; everything else continues.

// lacksCap reports whether the caller lacks a capability in its user namespace. If it has the
// capability, the kernel decides whether it counts for the object of the call: it knows which
// user namespace the caller is in, and which owns the object.
func (c *Call) lacksCap(capability int) bool {
	return c.Identities.InUse() && !c.identity().Capable(capability)
}

// lacksCapInContainer is lacksCap where the kernel requires the capability in the initial user
// namespace, but the container's root shall have it.
func (c *Call) lacksCapInContainer(capability int) bool {
	return c.Identities.InUse() && !c.identity().CapableInContainer(capability)
}

// Needs returns the handler of calls for which the kernel checks a capability before
// anything else.
func Needs(capability int) Handler {
	return func(c *Call) Result {
		if c.lacksCap(capability) {
			return Errno(unix.EPERM)
		}
		return Continue
	}
}

// asCaller calls f with the effective capabilities of this thread reduced to the caller's.
// The kernel then decides about an operation on an object that does not depend on the
// caller otherwise, such as a socket.
func (c *Call) asCaller(f func() unix.Errno) unix.Errno {
	return withCaps(c.identity().Effective, f)
}

// asCallerOn is asCaller for an operation on a socket, a descriptor of the supervisor, that needs
// capabilities over the socket's network namespace.
func (c *Call) asCallerOn(socket int, f func() unix.Errno) unix.Errno {
	if c.namespace() == nil {
		return c.asCaller(f)
	}
	return withCaps(c.identityOver(target.SocketNamespaceOwner(socket)).Effective, f)
}

// withCaps calls f with the effective capabilities of this thread reduced to caps.
func withCaps(caps cred.Caps, f func() unix.Errno) unix.Errno {
	var own sys.Capabilities
	if e := sys.Capget(&own); e != 0 {
		return e
	}
	reduced := own
	caps &= cred.AllCaps
	reduced[0].Effective &= uint32(caps)
	reduced[1].Effective &= uint32(caps >> 32)
	if e := sys.Capset(&reduced); e != 0 {
		return e
	}
	e := f()
	if sys.Capset(&own) != 0 {
		panic("cannot restore the supervisor's capabilities")
	}
	return e
}

// lacksAt checks a capability for a call that resolves a path first: the path at argument
// i, with the flags of target.Task.Path. Errors of the path come before EPERM. If directory
// is true, the path must lead to a directory.
func (c *Call) lacksAt(capability, i int, flags uint32, directory bool) unix.Errno {
	lacks := c.lacksCap(capability)
	if !lacks && !c.Restricted() {
		return 0
	}
	p, e := c.Target.Path(unix.AT_FDCWD, c.addr(i), flags)
	if e != 0 {
		return e
	}
	place, e := c.openPath(p)
	if e != 0 {
		return e
	}
	isDir := place.isDir()
	c.close(place)
	if directory && !isDir {
		return unix.ENOTDIR
	}
	if !lacks {
		return 0
	}
	return unix.EPERM
}

// netCaps are the capabilities over a network namespace.
const netCaps = cred.Caps(1<<unix.CAP_NET_BIND_SERVICE | 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_NET_RAW)

// lacksAnyCap is lacksCap for several capabilities: it reports whether any of caps is
// missing.
func (c *Call) lacksAnyCap(caps cred.Caps) bool {
	return c.Identities.InUse() && caps&^c.identity().Effective != 0
}
