package handlers

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// The capability attribute of a special file may hold a record (see package owner), which the
// container does not see. Capabilities that the container gives such a file, which have no
// effect, are stored as the other security.* attributes are.

// capabilityRecord returns the record in the capability attribute of what path leads to, in
// value, or nil if it has none.
func capabilityRecord(path *byte, follow bool, value *[fileCapsMax]byte) []byte {
	n, e := sys.Getxattr(path, follow, unsafe.StringData(capabilityXattr), value[:])
	if e != 0 || !owner.IsCapabilityRecord(value[:n]) {
		return nil
	}
	return value[:n]
}

// capabilityRecordOf is capabilityRecord for the object o.
func (c *Call) capabilityRecordOf(o object, value *[fileCapsMax]byte) []byte {
	p, e := c.pathOf(o)
	if e != 0 {
		return nil
	}
	if !p.ViaProcSelf() {
		if record := capabilityRecord(p.Ptr, p.Follow, value); record != nil || !c.Target.IsLink(p) {
			return record
		}
	}
	i, e := c.openPath(p) // a symbolic link may lead through /proc/self
	if e != 0 {
		return nil
	}
	defer c.close(i)
	var s sys.FDPath
	return capabilityRecord(s.Of(i.fd), true, value)
}

// getCapability handles a call that reads the capability attribute a of o into size bytes at
// addr.
func (c *Call) getCapability(o object, a *xattrName, addr uintptr, size uint64) Result {
	if c.namespace() != nil {
		if r, done := c.getNestedCapability(o, addr, size); done {
			return r
		}
	}
	var value [fileCapsMax]byte
	record := c.capabilityRecordOf(o, &value)
	switch {
	case record == nil:
		return c.readAttribute(o, a)
	case a.toStored():
		return c.getStored(o, a, addr, size)
	}
	return c.onHidden(o, getHidden)
}

// isSpecialRecord reports whether the capability attribute of o holds the record of a special
// file.
func (c *Call) isSpecialRecord(o object) bool {
	var value [fileCapsMax]byte
	record := c.capabilityRecordOf(o, &value)
	return record != nil && !owner.IsRootIDMark(record)
}

// namesUnmappedRoot reports whether value has capabilities for the root user of a namespace
// whose id is not mapped. The kernel refuses to store those.
//
// capabilities(7): version 3 "encodes the user ID of root in the user namespace" in which the
// capabilities are valid.
func (c *Call) namesUnmappedRoot(value []byte) bool {
	caps, e := cred.ParseFileCaps(value)
	return e == 0 && caps.RootID != 0 && caps.RootID != c.Owners.Mapped.UID
}

// setUnmappedRootCaps gives the inode the capabilities in value, which name an unmapped root.
// They have no effect for programs of the container, as they have none for others than that
// root. Where the kernel stores capabilities there is a mark, which vanishes whenever the
// kernel would remove capabilities; while it is there, the stored attribute counts.
func setUnmappedRootCaps(i *inode, a *xattrName, value []byte, flags uint32) unix.Errno {
	if i.isProc() {
		return unix.EOPNOTSUPP
	}
	stored := *a
	if !i.hasUserXattrs() || !stored.toStored() {
		return unix.EINVAL
	}
	if e := setxattrOPath(i.fd, &a[0], owner.RootIDMark, flags); e != 0 {
		return e
	}
	e := setxattrOPath(i.fd, &stored[0], value, 0)
	if e != 0 {
		removexattrOPath(i.fd, &a[0])
	}
	return e
}

// removeStoredCapability removes the capabilities of a special file, as the kernel removes
// those in the capability attribute when the owner changes.
func (c *Call) removeStoredCapability(i *inode) {
	var a xattrName
	copy(a[:], capabilityXattr)
	if a.toStored() {
		c.removeStored(i, &a)
	}
}
