package acl

import (
	"slices"

	"golang.org/x/sys/unix"
)

// Where a mode has the permissions of the owner, of the group and of others.
const (
	ownerShift = 6
	groupShift = 3
	otherShift = 0
)

// modeShift is where the mode has the permissions of the entry, if it has them.
//
// acl(5): "The owner permissions correspond to the permissions of the ACL_USER_OBJ entry. If
// the ACL has an ACL_MASK entry, the group permissions correspond to the permissions of the
// ACL_MASK entry. Otherwise, if the ACL has no ACL_MASK entry, the group permissions correspond
// to the permissions of the ACL_GROUP_OBJ entry. The other permissions correspond to the
// permissions of the ACL_OTHER entry."
func (e Entry) modeShift(masked bool) (shift int, ok bool) {
	switch {
	case e.Tag == UserObj:
		return ownerShift, true
	case e.Tag == Mask, e.Tag == GroupObj && !masked:
		return groupShift, true
	case e.Tag == Other:
		return otherShift, true
	}
	return 0, false
}

func (a ACL) masked() bool {
	return slices.ContainsFunc(a, func(e Entry) bool { return e.Tag == Mask })
}

// Mode is the permission bits that an inode with the access ACL has.
func (a ACL) Mode() uint32 {
	var mode uint32
	masked := a.masked()
	for _, e := range a {
		if shift, ok := e.modeShift(masked); ok {
			mode |= uint32(e.Perm) << shift
		}
	}
	return mode
}

// EquivMode reports whether the access ACL says no more than its Mode, so that an inode
// has none: it has the three entries that each must have, and not even a mask.
func (a ACL) EquivMode() bool {
	return !slices.ContainsFunc(a, func(e Entry) bool { return e.named() || e.Tag == Mask })
}

// Chmod is the access ACL after a chmod(2) of its inode: a new one.
//
// acl(5): "Modification of the file permission bits results in the modification of the
// associated ACL entries".
func (a ACL) Chmod(mode uint32) ACL {
	to, masked := slices.Clone(a), a.masked()
	for n := range to {
		if shift, ok := to[n].modeShift(masked); ok {
			to[n].Perm = uint16(mode>>shift) & rwx
		}
	}
	return to
}

// Create is what an inode gets that is made in a directory whose default ACL is a: its
// access ACL and its default ACL, nil where it has none, and its mode. The given mode has
// the file type; the umask is not applied to it. A symbolic link gets no ACL.
//
// acl(5): "The new object inherits the default ACL of the containing directory as its access
// ACL. The access ACL entries corresponding to the file permission bits are modified so that
// they contain no permissions that are not contained in the permissions specified by the mode
// parameter." A directory inherits the default ACL as its own, too.
func (a ACL) Create(mode uint32) (access, inherited ACL, newMode uint32) {
	if len(a) == 0 || mode&unix.S_IFMT == unix.S_IFLNK {
		return nil, nil, mode
	}
	access = a.Chmod(a.Mode() & mode)
	newMode = mode&^0o777 | access.Mode()
	if access.EquivMode() {
		access = nil
	}
	if mode&unix.S_IFMT == unix.S_IFDIR {
		inherited = a
	}
	return access, inherited, newMode
}
