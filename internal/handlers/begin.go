package handlers

import (
	"bytes"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// A call that changes an inode by its path may come back after the worker has died, and the path
// may have another inode then. The change must not be made twice, nor half.

// finished is Intent.Began of a call that has had its whole effect, and succeeds.
const finished = -1

// begin notes that the call is about to change the inode.
func (c *Call) begin(i *inode) { *c.Intent = Intent{ID: c.ID, Began: int64(i.stat.Ino)} }

// maxSearches limits how often begun looks for an inode that is being moved.
const maxSearches = 16

// begun returns the inode that an earlier attempt at this call has begun to change: i, which has
// the path now, or another one in the same directory. The path is in argument arg, relative to the
// caller's descriptor dirfd. Begun closes i if it returns another one.
func (c *Call) begun(i *inode, dirfd int32, arg int) *inode {
	ino := uint64(c.Intent.Began)
	if !c.resumes() || ino == i.stat.Ino {
		return i
	}
	parent, _, _, e := c.openParent(dirfd, arg)
	if e != 0 {
		return i
	}
	defer c.close(parent)
	for range maxSearches {
		if other := c.findInode(parent.fd, i.stat.Dev, ino); other != nil {
			c.close(i)
			return other
		}
	}
	return i // it has been removed, or moved to another directory
}

// findInode opens the inode with these numbers in a directory. It returns nil if it does not find
// it.
func (c *Call) findInode(dirfd int, dev, ino uint64) *inode {
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
			if le.Uint64(entry[direntIno:]) != ino || bytes.HasPrefix(name, []byte("..\x00")) {
				continue
			}
			file := c.openEntry(dirfd, &name[0])
			if file.exists() && file.stat.Ino == ino && file.stat.Dev == dev {
				return file.inode
			}
			c.closeEntry(&file)
		}
	}
}
