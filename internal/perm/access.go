package perm

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/acl"
	"github.com/rootless-containers/subuidless/internal/cred"
)

// Permissions for Access, which may be combined: the bits of one digit of an octal mode.
const (
	Exec  = 1 // execute a file, search a directory
	Write = 2 // write to a file, make and remove entries of a directory
	Read  = 4 // read a file, list a directory
)

// Access decides whether the caller has all permissions in want on the inode, whose access
// ACL is a, or nil if it has none. The error is EACCES.
func Access(c cred.Credentials, i Inode, a acl.ACL, want uint32) unix.Errno {
	if granted(c, i, a, want) {
		return 0
	}
	dir := i.isType(unix.S_IFDIR)
	switch {
	// capabilities(7), CAP_DAC_OVERRIDE: "Bypass file read, write, and execute permission
	// checks." path_resolution(7): it "grants execute permission" of a file only "if at
	// least one of the file's three execute permission bits is set".
	case c.CapableOver(i.UID, i.GID, unix.CAP_DAC_OVERRIDE) && (dir || want&Exec == 0 || i.Mode&0o111 != 0),
		// CAP_DAC_READ_SEARCH: "Bypass file read permission checks and directory read and
		// execute permission checks".
		c.CapableOver(i.UID, i.GID, unix.CAP_DAC_READ_SEARCH) && (want == Read || dir && want&Write == 0):
		return 0
	}
	return unix.EACCES
}

// granted reports whether mode and ACL, without capabilities, grant all of want.
//
// path_resolution(7): "when the fsuid of the process [...] equals the user ID of the
// file, the first group [of permission bits] is used, if the group ID of the file matches
// the fsgid or one of the supplementary group IDs, the second, otherwise the third."
func granted(c cred.Credentials, i Inode, a acl.ACL, want uint32) bool {
	if c.UID.FS == i.UID {
		return i.Mode>>6&want == want
	}
	// Like the kernel, use the ACL only if its mask grants anything.
	if a != nil && i.Mode&0o070 != 0 {
		return grantedByACL(c, i, a, want)
	}
	if c.InGroup(i.GID) {
		return i.Mode>>3&want == want
	}
	return i.Mode&want == want
}

// grantedByACL is the "ACCESS CHECK ALGORITHM" of acl(5) for a caller that does not own the
// inode.
func grantedByACL(c cred.Credentials, i Inode, a acl.ACL, want uint32) bool {
	// The group bits of the mode are those of the mask, or of ACL_GROUP_OBJ without one.
	maskGrants := want&(i.Mode>>3) == want
	member := false
	for _, e := range a {
		grants := uint32(e.Perm)&want == want
		switch {
		// "the effective user ID of the process matches the qualifier of any entry of type
		// ACL_USER": that entry and the mask decide.
		case e.Tag == acl.User && e.ID == c.UID.FS:
			return grants && maskGrants
		// "the effective group ID or any of the supplementary group IDs of the process match
		// the file group or the qualifier of any entry of type ACL_GROUP": any of them that
		// contains the requested permissions, and the mask.
		case e.Tag == acl.GroupObj && c.InGroup(i.GID), e.Tag == acl.Group && c.InGroup(e.ID):
			if grants {
				return maskGrants
			}
			member = true
		case e.Tag == acl.Other:
			return !member && grants
		}
	}
	return false
}
