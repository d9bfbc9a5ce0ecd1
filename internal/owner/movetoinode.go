package owner

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// MoveToInode moves the record of the object that the descriptor fd, which may be an O_PATH
// one, refers to, from the sidecar into the inode. Mode is the object's st_mode. Moved is
// false if there is no such record, or if the inode cannot carry it. A record that the inode
// has already stays, because it counts before the sidecar's.
//
// The error is EROFS, ENOSPC, EDQUOT, or that of unlinkat(2).
func (s *Store) MoveToInode(fd int, mode uint32) (moved bool, e unix.Errno) {
	o := object{fd: fd}
	var k key
	r := Record{ID: Unchanged}
	if k.fill(fd, sys.Empty, unix.AT_EMPTY_PATH) != 0 || !s.sidecar.get(&k, &r) || !r.validFor(mode) {
		return false, 0
	}
	if hasUserXattrs(mode) {
		var small [smallValue]byte
		e = s.setAttribute(&o, r.Append(small[:0]), unix.XATTR_CREATE)
	} else {
		s.noteDevice(&r)
		e = s.setCapability(&o, &r, false, unix.XATTR_CREATE)
	}
	switch e {
	case 0:
		if e := sys.Unlinkat(s.sidecar.dirOf(&k), &k.name[0], 0); e == unix.ENOENT {
			// A container has changed the owner to one that needs no record, in between.
			if hasUserXattrs(mode) {
				return false, o.removexattr(attributeName)
			}
			return false, s.setCapability(&o, &r, true, 0)
		}
		return e == 0, e
	case unix.EEXIST:
		if !hasUserXattrs(mode) {
			var value [capabilitySize3]byte
			if n, e := o.getxattr(capabilityName, value[:]); e != 0 || !IsCapabilityRecord(value[:n]) {
				return false, 0 // capabilities
			}
		}
		e = s.sidecar.remove(&k)
		return e == 0, e
	case unix.EROFS, unix.ENOSPC, unix.EDQUOT:
		return false, e
	}
	return false, 0
}
