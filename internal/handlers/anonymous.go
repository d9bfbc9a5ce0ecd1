package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/target"
)

// Inodes without a name: they belong to their maker too.

// A pipe or a socket for which no owner is recorded counts as the own of the caller
// that has it open.
//
// Who has made it is not known: a socket belongs to the caller's network
// namespace and cannot be made by the supervisor, and an entry in the sidecar for
// each pipe would stay for ever. As a rule a program looks at its own.

// openAnonymous is openRecorded for the object p, for which no owner is recorded: it is
// the caller's if it is a pipe or a socket, else ENODATA.
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

// fsIDs are the ids that own what the caller makes.
func (c *Call) fsIDs() owner.ID {
	s := c.identity()
	return owner.ID{UID: s.UID.FS, GID: s.GID.FS}
}
