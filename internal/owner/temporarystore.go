package owner

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// setTemporary is set for a Store with temporary records. ACLs have no room there: they stay with
// the inode, without an owner.
//
// The errors are those of SetRecord, ENOSPC if there is no room for the record, and EOPNOTSUPP if r
// has SetID: what belongs to the kernel's mode must not end before the inode.
func (s *Store) setTemporary(o *object, mode uint32, r *Record) unix.Errno {
	if r.SetID != 0 {
		return unix.EOPNOTSUPP
	}
	var small [smallValue]byte
	stored, isStored, _ := s.readStored(o, mode, small[:])
	if r.hasACL() || r.attributes || isStored && (stored.hasACL() || stored.attributes || stored.SetID != 0) {
		kept := *r
		kept.ID, kept.Type, kept.Rdev = stored.ID, stored.Type, stored.Rdev
		if e := s.setStored(o, mode, &kept); e != 0 {
			return e
		}
	}
	var stx unix.Statx_t
	if e := sys.Statx(o.fd, sys.Empty, unix.AT_EMPTY_PATH, temporaryMask, &stx); e != 0 {
		return e
	}
	e := s.Temporary.lookUp(o.fd, &stx)
	if e == nil && !isStored && r.Type == 0 {
		shown := s.Mapped
		var unknown ID
		if s.Temporary.unknown(&stx, s.Mapped, &unknown) {
			shown = unknown.Over(ID{UID: stx.Uid, GID: stx.Gid})
		}
		if r.ID.Over(shown) == shown {
			return 0
		}
	}
	return s.Temporary.set(o.fd, &stx, e, r)
}
