package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// The calls that need a capability which the kernel sees in every task of the
// container, but which the caller, as it has become somebody else, has not. They
// are refused where the kernel would; everything else continues.

// lacksCap tells whether the caller is to be refused what needs a capability.
//
// user_namespaces(7): a process that has made a user namespace "has a full set of
// capabilities in that namespace". What it may do there is the kernel's to say.
func (c *Call) lacksCap(capability int) bool {
	return c.Identities.InUse() && !c.identity().Capable(capability) && c.Target.InOwnUserNamespace()
}

// Needs answers calls of which the kernel checks a capability before anything else.
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
