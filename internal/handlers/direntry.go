package handlers

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/perm"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// direntry is the inode that a name in a directory refers to, or nil.
type direntry struct {
	*inode
	tooLong bool // the name is too long for the file system
}

// openEntry looks up name in the directory with the descriptor dir. It is closed by
// closeEntry.
func (c *Call) openEntry(dir int, name *byte) direntry {
	fd, e := sys.Openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if e != 0 {
		return direntry{tooLong: e == unix.ENAMETOOLONG}
	}
	i, e := c.borrowFD(fd)
	if e != 0 {
		unix.Close(fd)
	}
	return direntry{inode: i}
}

func (c *Call) closeEntry(n *direntry) {
	if n.exists() {
		c.close(n.inode)
	}
}

func (n *direntry) exists() bool { return n.inode != nil }

func (n *direntry) isDir() bool { return n.exists() && n.inode.isDir() }

// is reports whether st is a status of the entry's inode.
func (n *direntry) is(st *unix.Stat_t) bool { return n.exists() && n.inode.is(st) }

// isMountPoint reports whether a file system is mounted on the entry of the directory
// parent. The owner of the entry itself is hidden then, and the entry cannot be removed:
// EBUSY.
func (n *direntry) isMountPoint(parent *inode) bool {
	return sys.MountID(n.fd) != sys.MountID(parent.fd)
}

// isAncestorOf reports whether the entry is the directory dir, or an ancestor of it.
func (n *direntry) isAncestorOf(dir *inode) bool {
	if !n.isDir() {
		return false
	}
	st := dir.stat
	for at := dir.fd; !n.is(&st); {
		up, e := sys.Openat(at, sys.DotDot, unix.O_PATH, 0)
		if at != dir.fd {
			unix.Close(at)
		}
		if e != 0 {
			return false
		}
		at = up
		below := st
		e = sys.Fstat(at, &st)
		// Only the root directory is its own parent.
		if e != 0 || st.Dev == below.Dev && st.Ino == below.Ino {
			unix.Close(at)
			return false
		}
		if n.is(&st) {
			unix.Close(at)
		}
	}
	return true
}

// mayDeleteEntry checks whether the caller may remove the entry from the directory parent.
func (c *Call) mayDeleteEntry(parent *inode, victim *direntry) unix.Errno {
	if e := c.mayModify(parent); e != 0 {
		return e
	}
	if parent.stat.Mode&unix.S_ISVTX == 0 {
		return 0
	}
	e := perm.MayDelete(*c.subject(), c.visible(parent), c.visible(victim.inode))
	if e != 0 && victim.isMountPoint(parent) {
		return 0 // EBUSY
	}
	return e
}

// mayWriteEntry checks whether the caller may write to the entry of the directory parent.
func (c *Call) mayWriteEntry(parent *inode, n *direntry) unix.Errno {
	e := c.permits(n.inode, perm.Write)
	if e != 0 && n.isMountPoint(parent) {
		return 0 // EBUSY
	}
	return e
}

// isName reports whether the last component of a path can be created or removed: it is not
// "." or "..".
func isName(name *byte) bool {
	at := func(i int) byte { return *(*byte)(unsafe.Add(unsafe.Pointer(name), i)) }
	switch {
	case at(0) != '.':
		return true
	case at(1) == 0:
		return false
	}
	return at(1) != '.' || at(2) != 0
}
