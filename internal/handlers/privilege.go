package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// The calls that need a capability which the kernel sees in every task of the
// container, but which the caller, as it has become somebody else, has not. They
// are refused where the kernel would; everything else continues.

// lacksCap reports whether the caller is to be refused what needs a capability.
//
// user_namespaces(7): a process that has made a user namespace "has a full set of
// capabilities in that namespace". What it may do there is the kernel's to say.
func (c *Call) lacksCap(capability int) bool {
	return c.Identities.InUse() && !c.identity().Capable(capability) && c.Target.InOwnUserNamespace()
}

// Needs handles calls of which the kernel checks a capability before anything else.
func Needs(capability int) Handler {
	return func(c *Call) Result {
		if c.lacksCap(capability) {
			return Errno(unix.EPERM)
		}
		return Continue
	}
}

// asCaller calls f with no more effective capabilities than the caller has. So the kernel
// itself says what the caller may do to an object that does not know who asks, such as a
// socket.
func (c *Call) asCaller(f func() unix.Errno) unix.Errno {
	var own sys.Capabilities
	if e := sys.Capget(&own); e != 0 {
		return e
	}
	caller := own
	effective := c.identity().Effective & cred.AllCaps
	caller[0].Effective &= uint32(effective)
	caller[1].Effective &= uint32(effective >> 32)
	if e := sys.Capset(&caller); e != 0 {
		return e
	}
	e := f()
	if sys.Capset(&own) != 0 {
		panic("the supervisor's capabilities are gone")
	}
	return e
}

// lacksAt refuses what needs a capability, and comes after the walk of the path
// at argument i, with the flags of Task.Path: its errors come first.
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

// lacksAnyCap reports whether the caller has not all of these capabilities: see lacks.
func (c *Call) lacksAnyCap(caps cred.Caps) bool {
	return c.Identities.InUse() && caps&^c.identity().Effective != 0 && c.Target.InOwnUserNamespace()
}
