package handlers

import (
	"bytes"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// Listxattr handles listxattr(path, list, size).
func Listxattr(c *Call) Result { return c.listxattr(byPath, 1) }

// Llistxattr handles llistxattr(path, list, size).
func Llistxattr(c *Call) Result { return c.listxattr(byLink, 1) }

// Listxattrat handles listxattrat(dirfd, path, flags, list, size).
func Listxattrat(c *Call) Result { return c.listxattr(c.objectAt(), 3) }

// Flistxattr handles flistxattr(fd, list, size).
func Flistxattr(c *Call) Result { return c.listxattr(c.descriptor(), 1) }

// listxattr handles a call that lists the attributes of o into the buffer at argument buf,
// whose size is the next argument.
func (c *Call) listxattr(o object, buf int) Result {
	if r := c.reach(o, 0); r.Errno != 0 {
		return r
	}
	p, e := c.pathOf(o)
	if e != 0 {
		return Continue
	}
	var l attributeList
	if !p.ViaProcSelf() {
		l = c.listFiltered(p.Ptr, p.Follow)
	}
	if !l.changed || l.more {
		if !l.more && !p.ViaProcSelf() && !c.Target.IsLink(p) {
			return Continue
		}
		i, e := c.openPath(p) // a symbolic link may lead through /proc/self
		if e != 0 {
			return Continue
		}
		defer c.close(i)
		var s sys.FDPath
		if l = c.listFiltered(s.Of(i.fd), true); !l.changed {
			return Continue
		}
		if l.more {
			old := len(l.names)
			names, hidden := c.appendStored(i, l.names)
			l.names = names
			l.room += len(l.names) - old + hidden
		}
	}
	if c.badDescriptor(p) {
		return Errno(unix.EBADF)
	}
	switch size := c.Data.Args[buf+1]; {
	case size == 0:
		return Return(l.room)
	case size < uint64(l.room):
		return Errno(unix.ERANGE)
	}
	return c.returnValue(l.names, c.addr(buf), c.Data.Args[buf+1])
}

// attributeList is the list of the attributes that the container sees.
type attributeList struct {
	names []byte // in the buffer
	// room is the size that the kernel would require for the names: on overlayfs it includes
	// some that the kernel does not list.
	room    int
	changed bool // the kernel's list differs
	more    bool // the inode has an attribute file, whose names are missing
}

// listFiltered lists the attributes of path.
func (c *Call) listFiltered(path *byte, follow bool) (l attributeList) {
	n, e := sys.Listxattr(path, follow, c.buffer())
	if e != 0 {
		return l
	}
	list := c.buffer()[:n]
	c.noteSecurity(list)
	hideCapability := false
	if bytes.Contains(list, []byte(capabilityXattr)) {
		var value [fileCapsMax]byte
		record := capabilityRecord(path, follow, &value)
		hideCapability = record != nil && !owner.IsRootIDMark(record)
		l.more = owner.HasAttributeFile(record)
	}
	seesTrusted, hiddenTrusted := c.trusted(list, path)
	l.names = filterNames(list, seesTrusted, hideCapability)
	hidden := n - len(l.names)
	if hidden == 0 {
		return l
	}
	all, _ := sys.Listxattr(path, follow, nil)
	l.room, l.changed = max(all, n)-hidden+hiddenTrusted, true // all is -1 if the file no longer exists
	return l
}

// trusted reports whether the caller sees the trusted.* attributes in names, and returns the room
// that the kernel would require for those that it does not see. Names is the list before it is
// filtered, of path, whose symbolic links have been followed.
//
// btrfs lists them for everybody: btrfs_listxattr of fs/btrfs/xattr.c. Only overlayfs requires room:
// ovl_listxattr of fs/overlayfs/xattrs.c hides names after the file system below has listed them.
func (c *Call) trusted(names []byte, path *byte) (seen bool, hidden int) {
	if c.identity().CapableInContainer(unix.CAP_SYS_ADMIN) {
		return true, 0
	}
	var fs unix.Statfs_t
	if !bytes.Contains(names, []byte(storedPrefix+trustedPrefix)) || sys.Statfs(path, &fs) != 0 {
		return false, 0
	}
	if fs.Type != unix.OVERLAYFS_SUPER_MAGIC {
		return fs.Type == unix.BTRFS_SUPER_MAGIC, 0
	}
	for len(names) > 0 {
		var name []byte
		name, names = cutName(names)
		if bytes.HasPrefix(name, []byte(storedPrefix+trustedPrefix)) {
			hidden += len(name) - len(storedPrefix)
		}
	}
	return false, hidden
}
