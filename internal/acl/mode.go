package acl

import (
	"slices"

	"golang.org/x/sys/unix"
)

// Positions of the owner, group and other permissions in a mode, in bits.
const (
	ownerShift = 6
	groupShift = 3
	otherShift = 0
)

// modeShift returns the position in the mode of the permissions of the entry. Ok is false
// if the mode does not have them. Masked says that the ACL has a Mask entry.
//
// acl(5): "The owner permissions correspond to the permissions of the ACL_USER_OBJ entry.
// If the ACL has an ACL_MASK entry, the group permissions correspond to the permissions
// of the ACL_MASK entry. Otherwise, if the ACL has no ACL_MASK entry, the group
// permissions correspond to the permissions of the ACL_GROUP_OBJ entry. The other
// permissions correspond to the permissions of the ACL_OTHER entry."
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

// masked reports whether the ACL has a Mask entry.
func (a ACL) masked() bool {
	return slices.ContainsFunc(a, func(e Entry) bool { return e.Tag == Mask })
}

// Mode returns the permission bits, 0 to 0777, of an inode whose access ACL is a.
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

// EquivMode reports whether Mode expresses the whole access ACL: it has only the three
// mandatory entries. An inode stores no such ACL. The name is that of the kernel's
// posix_acl_equiv_mode.
func (a ACL) EquivMode() bool {
	return !slices.ContainsFunc(a, func(e Entry) bool { return e.named() || e.Tag == Mask })
}

// Chmod returns the access ACL after a chmod(2) of its inode to mode. File type and set-id
// bits in mode are ignored.
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

// Create returns the ACLs and the mode of a new inode in a directory whose default ACL is
// a. Mode is the requested one with the file type, without the umask applied. Access and
// inherited are the inode's access and default ACL, nil if it has none. A symbolic link
// gets no ACL.
//
// acl(5): "The new object inherits the default ACL of the containing directory as its
// access ACL. The access ACL entries corresponding to the file permission bits are
// modified so that they contain no permissions that are not contained in the permissions
// specified by the mode parameter." A new directory also inherits the default ACL as its
// own.
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
