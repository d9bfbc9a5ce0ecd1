package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/target"
)

// A pipe or a socket without a record counts as owned by the caller that has it open. Its
// creator is not known: the supervisor cannot create sockets in the caller's network
// namespace, and a record in the sidecar for each pipe would never be removed. Programs
// usually look at their own.

// openAnonymous is openRecorded for an object without a record. The inode belongs to the
// caller if it is a pipe or a socket; otherwise the error is ENODATA.
func (c *Call) openAnonymous(p target.Path) (*inode, unix.Errno) {
	fd, named := p.Descriptor()
	if !named || c.createsAsRoot() {
		return nil, unix.ENODATA
	}
	i, e := c.openPath(c.Target.FD(fd))
	if e != 0 {
		return nil, e
	}
	if !i.isAnonymous() {
		c.close(i)
		return nil, unix.ENODATA
	}
	c.load(i)
	i.record.ID = c.fsIDs()
	return i, 0
}

// fsIDs returns the ids that own what the caller creates.
func (c *Call) fsIDs() owner.ID {
	s := c.identity()
	return owner.ID{UID: s.UID.FS, GID: s.GID.FS}
}
