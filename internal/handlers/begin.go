package handlers

import (
	"bytes"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// Intent is what a handler notes before an effect that may outlive its worker. When the
// call comes back, because the worker died or a signal interrupted the caller, it shows
// which part of the state the first attempt found and which part it may have left.
type Intent struct {
	ID uint64 // of the notification; 0: none
	// Began is when the name did not exist, in nanoseconds, by the clock of timestamps of
	// files. For getdents64, it is the position in the directory.
	Began int64
	// Inode is what the call changes: the inode itself, or the directory in which it creates
	// one. When the call comes back, its path may lead to another one: the change must not be
	// made twice, nor half. It is zero if this is not known.
	Inode owner.Inode
	// Done is the inode that the call has changed or created, and recorded. It is zero before.
	Done owner.Inode
}

// note stores what the call is about to do. The ID comes last: the worker may die in between.
func (c *Call) note(intent Intent) {
	c.Intent.Began, c.Intent.Inode, c.Intent.Done = intent.Began, intent.Inode, intent.Done
	c.Intent.ID = c.ID
}

// resumes reports whether an earlier attempt at this call has noted its Intent.
func (c *Call) resumes() bool { return c.Again && c.Intent.ID == c.ID }

// finished reports whether an earlier attempt at this call has had its whole effect.
func (c *Call) finished() bool { return c.resumes() && c.Intent.Done != owner.Inode{} }

// maxSearches limits how often findBegun looks for an inode that is being moved.
const maxSearches = 16

// isBegun reports whether the inode i, which a path leads to now, is the one of the Intent, as far
// as this is known.
func (c *Call) isBegun(i *inode) bool {
	return !c.resumes() || c.Intent.Inode == owner.Inode{} || c.Intent.Inode == i.lockKey()
}

// begun returns the inode that an earlier attempt at this call has begun to change: i, which has
// the path now, or another one in the same directory. The path is in argument arg, relative to the
// caller's descriptor dirfd. Begun closes i if it returns another one.
func (c *Call) begun(i *inode, dirfd int32, arg int) *inode {
	if c.isBegun(i) {
		return i
	}
	parent, _, _, e := c.openParent(dirfd, arg)
	if e != 0 {
		return i
	}
	defer c.close(parent)
	return c.findBegun(i, parent.fd)
}

// begunIn does the same for the directory in which a call creates an inode, and which is parent
// now.
func (c *Call) begunIn(parent *inode) *inode {
	if c.isBegun(parent) {
		return parent
	}
	up, e := sys.Openat(parent.fd, sys.DotDot, unix.O_PATH|unix.O_CLOEXEC, 0)
	if e != 0 {
		return parent
	}
	defer unix.Close(up)
	return c.findBegun(parent, up)
}

// findBegun looks for the inode of the Intent in the directory dir. It closes i and returns that
// one, or returns i if the other has been removed, or moved to another directory.
func (c *Call) findBegun(i *inode, dir int) *inode {
	for range maxSearches {
		if other := c.findInode(dir, c.Intent.Inode); other != nil {
			c.close(i)
			return other
		}
	}
	return i
}

// findInode opens an inode in a directory. It returns nil if it does not find it.
func (c *Call) findInode(dirfd int, wanted owner.Inode) *inode {
	dir, e := sys.Reopen(dirfd, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC)
	if e != 0 {
		return nil
	}
	defer unix.Close(dir)
	var entries [4096]byte
	for {
		n, e := sys.Getdents64(dir, entries[:])
		if e != 0 || n == 0 {
			return nil
		}
		for rest := entries[:n]; len(rest) > direntName; {
			var entry []byte
			entry, rest = cutDirent(rest)
			name := entry[direntName:]
			if le.Uint64(entry[direntIno:]) != wanted.Ino || bytes.HasPrefix(name, []byte("..\x00")) {
				continue
			}
			file := c.openEntry(dirfd, &name[0])
			if file.exists() && file.lockKey() == wanted {
				return file.inode
			}
			c.closeEntry(&file)
		}
	}
}
