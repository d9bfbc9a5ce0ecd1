package handlers

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// fileCaps returns the capabilities of the file. Ok is false if it has none that apply in the
// container.
//
// The kernel converts them for the worker's user namespace, which is the container's.
// capabilities(7): "when a version 3 security.capability attribute is retrieved
// (getxattr(2)) by a process that resides inside a user namespace that was created by the
// root user ID (or a descendant of that user namespace), the returned attribute is
// (automatically) simplified to appear as a version 2 attribute". For those that root of
// the host has set, the error is EOVERFLOW.
//
// The root id of the result is one of the container's namespace. Capabilities for the root of
// another namespace, which are stored apart, apply in nested namespaces only.
func (c *Call) fileCaps(i *inode) (_ cred.FileCaps, ok bool) {
	var value [fileCapsMax]byte
	n, e := getxattrOPath(i.fd, unsafe.StringData(capabilityXattr), value[:])
	if e == 0 && owner.IsCapabilityRecord(value[:n]) {
		var stored xattrName
		copy(stored[:], capabilityXattr)
		if c.namespace() == nil || !owner.IsRootIDMark(value[:n]) || !stored.toStored() {
			return cred.FileCaps{}, false
		}
		n, e = getxattrOPath(i.fd, &stored[0], value[:])
	}
	if e != 0 {
		return cred.FileCaps{}, false
	}
	caps, e := cred.ParseFileCaps(value[:n])
	return caps, e == 0
}

// specialFileCaps returns the capabilities of a special file, which have no effect: see
// xattrcapability.go.
func (c *Call) specialFileCaps(i *inode) (_ cred.FileCaps, ok bool) {
	var stored xattrName
	copy(stored[:], capabilityXattr)
	if i.hasUserXattrs() || !stored.toStored() {
		return cred.FileCaps{}, false
	}
	var p owner.AttributePath
	path, e := c.Owners.Attributes(i.fd, i.stat.Mode, false, &p)
	if e != 0 {
		return cred.FileCaps{}, false
	}
	var value [fileCapsMax]byte
	n, e := sys.Getxattr(path, true, &stored[0], value[:])
	if e != 0 {
		return cred.FileCaps{}, false
	}
	caps, e := cred.ParseFileCaps(value[:n])
	return caps, e == 0
}

// givenFileCaps returns the value of the attribute, which the caller sets, with the root id
// translated from its user namespace. The error is EINVAL if that is not mapped.
//
// capabilities(7): if the caller "resides in a noninitial user namespace", a value of version 2
// is "automatically" stored as one of version 3 with the root id of that namespace.
func (c *Call) givenFileCaps(value []byte) ([]byte, unix.Errno) {
	n := c.namespace()
	if n == nil || len(value) == 0 {
		return value, 0
	}
	caps, e := cred.ParseFileCaps(value)
	if e != 0 {
		return nil, e
	}
	if caps.RootID, e = mappedOnly(n.UID(caps.RootID)); e != 0 {
		return nil, e
	}
	return caps.Append(nil), 0
}

// getNestedCapability handles a call by a task in a nested user namespace that reads the
// capabilities of o into size bytes at addr. Done is false if o has none.
//
// In cap_inode_getsecurity of security/commoncap.c: EOVERFLOW for those of a root that is not
// root of a namespace that contains the caller's.
func (c *Call) getNestedCapability(o object, addr uintptr, size uint64) (r Result, done bool) {
	i, e := c.openForAttributes(o)
	if e != 0 {
		return Errno(e), true
	}
	defer c.close(i)
	caps, ok := c.fileCaps(i)
	if !ok {
		if caps, ok = c.specialFileCaps(i); !ok {
			return Continue, false
		}
	}
	n := c.namespace()
	switch seen := n.SeenUID(caps.RootID); {
	case seen != owner.Noop && seen != 0:
		caps.RootID = seen
	case !n.HasRoot(caps.RootID):
		return Errno(unix.EOVERFLOW), true
	default:
		caps.RootID = 0
	}
	return c.returnValue(caps.Append(nil), addr, size), true
}

// fileCapsMax is the size of struct vfs_ns_cap_data, the largest value of the attribute.
const fileCapsMax = 24

// capabilityXattr is the NUL-terminated name of the attribute that stores a file's
// capabilities.
const capabilityXattr = "security.capability\x00"
