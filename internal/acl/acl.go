// Package acl implements POSIX access control lists, acl(5), as values. It encodes and
// decodes the extended attributes system.posix_acl_access and system.posix_acl_default
// (<linux/posix_acl_xattr.h>), and computes how an ACL and the mode of its inode change
// each other. It makes no system calls; package perm checks access.
package acl

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Tag is the tag type of an entry: whose permissions the entry has.
type Tag uint16

// The tag types of acl(5), such as ACL_USER_OBJ, in the order of entries in an ACL. The
// values are those of <linux/posix_acl.h>.
const (
	UserObj  Tag = 0x01 // the owner of the file
	User     Tag = 0x02 // the user Entry.ID
	GroupObj Tag = 0x04 // the group of the file
	Group    Tag = 0x08 // the group Entry.ID
	Mask     Tag = 0x10 // upper limit for User, GroupObj and Group entries
	Other    Tag = 0x20 // all other users
)

// Entry is one entry of an ACL.
type Entry struct {
	Tag  Tag
	Perm uint16 // permissions: 4 read, 2 write, 1 execute
	ID   uint32 // qualifier of User and Group entries, NoID in others
}

// NoID is the ID of entries without a qualifier, ACL_UNDEFINED_ID.
const NoID = ^uint32(0)

// ACL is an access ACL, or a default ACL of a directory. It is immutable: methods that
// change it return a new one.
type ACL []Entry

const (
	version    = 2
	headerSize = 4
	entrySize  = 8

	rwx = 7
)

// Parse decodes the value of an attribute and checks it like setxattr(2). A value without
// entries gives a nil ACL: setxattr(2) removes the attribute then. The error is EINVAL for
// a malformed or invalid ACL, and EOPNOTSUPP for an unknown version of the format.
func Parse(value []byte) (ACL, unix.Errno) {
	a, e := Decode(value)
	if e == 0 && a != nil && !a.Valid() {
		return nil, unix.EINVAL
	}
	return a, e
}

// Decode is Parse without the check that the ACL is Valid.
func Decode(value []byte) (ACL, unix.Errno) {
	if len(value) == 0 {
		return nil, 0
	}
	if len(value) < headerSize {
		return nil, unix.EINVAL
	}
	if binary.LittleEndian.Uint32(value) != version {
		return nil, unix.EOPNOTSUPP
	}
	value = value[headerSize:]
	if len(value)%entrySize != 0 {
		return nil, unix.EINVAL
	}
	if len(value) == 0 {
		return nil, 0
	}
	a := make(ACL, 0, len(value)/entrySize)
	for ; len(value) > 0; value = value[entrySize:] {
		e := Entry{
			Tag:  Tag(binary.LittleEndian.Uint16(value)),
			Perm: binary.LittleEndian.Uint16(value[2:]),
			ID:   binary.LittleEndian.Uint32(value[4:]),
		}
		switch e.Tag {
		case UserObj, GroupObj, Mask, Other:
			e.ID = NoID
		case User, Group:
			if e.ID == NoID {
				return nil, unix.EINVAL
			}
		default:
			return nil, unix.EINVAL
		}
		a = append(a, e)
	}
	return a, 0
}

// Append appends the value of the attribute for a to b.
func (a ACL) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, version)
	for _, e := range a {
		b = binary.LittleEndian.AppendUint16(b, uint16(e.Tag))
		b = binary.LittleEndian.AppendUint16(b, e.Perm)
		b = binary.LittleEndian.AppendUint32(b, e.ID)
	}
	return b
}

// named reports whether the entry is one of a named user or group: it has a qualifier.
func (e Entry) named() bool { return e.Tag == User || e.Tag == Group }

// Valid reports whether the kernel accepts an ACL that Decode has returned.
//
// acl(5): "A valid ACL contains exactly one entry with each of the ACL_USER_OBJ,
// ACL_GROUP_OBJ, and ACL_OTHER tag types. Entries with ACL_USER and ACL_GROUP tag types
// may appear zero or more times in an ACL. An ACL that contains entries of ACL_USER or
// ACL_GROUP tag types must contain exactly one entry of the ACL_MASK tag type. If an ACL
// contains no entries of ACL_USER or ACL_GROUP tag types, the ACL_MASK entry is
// optional."
//
// The kernel also requires this order. Of the ids it requires only that they are valid.
func (a ACL) Valid() bool {
	var seen, last Tag
	for _, e := range a {
		switch e.Tag {
		case UserObj, GroupObj, Mask, Other:
			if e.Tag <= last {
				return false
			}
		case User, Group:
			if e.Tag < last {
				return false
			}
		}
		if e.Perm&^rwx != 0 {
			return false
		}
		seen, last = seen|e.Tag, e.Tag
	}
	const needed = UserObj | GroupObj | Other
	return seen&needed == needed && (seen&(User|Group) == 0 || seen&Mask != 0)
}
