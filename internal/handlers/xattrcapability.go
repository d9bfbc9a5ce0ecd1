package handlers

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// The capability attribute of a special file may hold a record (see package owner), which the
// container does not see. It cannot hold capabilities then: they would mean nothing.

// holdsRecord reports whether the capability attribute of what path leads to holds a record.
func holdsRecord(path *byte, follow bool) bool {
	var value [fileCapsMax]byte
	n, e := sys.Getxattr(path, follow, unsafe.StringData(capabilityXattr), value[:])
	return e == 0 && owner.IsCapabilityRecord(value[:n])
}

// hasCapabilityRecord is holdsRecord for the object o.
func (c *Call) hasCapabilityRecord(o object) bool {
	p, e := c.pathOf(o)
	if e != 0 {
		return false
	}
	if !p.ViaProcSelf() && holdsRecord(p.Ptr, p.Follow) {
		return true
	}
	if !p.ViaProcSelf() && !c.Target.IsLink(p) {
		return false
	}
	i, e := c.openPath(p) // a symbolic link may lead through /proc/self
	if e != 0 {
		return false
	}
	defer c.close(i)
	var s sys.FDPath
	return holdsRecord(s.Of(i.fd), true)
}

// refuseCapability refuses a change of the capability attribute of the object o, which holds a
// record, with the error e.
func (c *Call) refuseCapability(o object, e unix.Errno) Result {
	i, open := c.openForAttributes(o)
	if open != 0 {
		return Errno(open)
	}
	defer c.close(i)
	return deny(i, e)
}
