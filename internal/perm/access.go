package perm

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/acl"
	"github.com/rootless-containers/subuidless/internal/cred"
)

// Permissions that Access is asked for, as in the last digit of a mode.
const (
	Exec  = 1 // execute a file, search a directory
	Write = 2
	Read  = 4
)

// Access decides whether the thread has all the permissions in want to the inode, whose
// access ACL is a, nil if it has none: 0 or EACCES.
func Access(c cred.Credentials, i Inode, a acl.ACL, want uint32) unix.Errno {
	if granted(c, i, a, want) {
		return 0
	}
	dir := i.is(unix.S_IFDIR)
	switch {
	// capabilities(7), CAP_DAC_OVERRIDE: "Bypass file read, write, and execute permission
	// checks." path_resolution(7): it "grants execute permission" of a file only "if at
	// least one of the file's three execute permission bits is set".
	case c.Capable(unix.CAP_DAC_OVERRIDE) && (dir || want&Exec == 0 || i.Mode&0o111 != 0),
		// CAP_DAC_READ_SEARCH: "Bypass file read permission checks and directory read and
		// execute permission checks".
		c.Capable(unix.CAP_DAC_READ_SEARCH) && (want == Read || dir && want&Write == 0):
		return 0
	}
	return unix.EACCES
}

// granted applies the mode and the ACL.
//
// path_resolution(7): "when the fsuid of the process [...] equals the user ID of the file, the
// first group [of permission bits] is used, if the group ID of the file matches the fsgid or one
// of the supplementary group IDs, the second, otherwise the third."
func granted(c cred.Credentials, i Inode, a acl.ACL, want uint32) bool {
	if c.UID.FS == i.UID {
		return i.Mode>>6&want == want
	}
	// The kernel looks into the ACL only if its mask grants anything.
	if a != nil && i.Mode&0o070 != 0 {
		return grantedByACL(c, i, a, want)
	}
	if c.InGroup(i.GID) {
		return i.Mode>>3&want == want
	}
	return i.Mode&want == want
}

// grantedByACL is the "ACCESS CHECK ALGORITHM" of acl(5), for others than the owner.
func grantedByACL(c cred.Credentials, i Inode, a acl.ACL, want uint32) bool {
	// The mode has the permissions of the mask, or of ACL_GROUP_OBJ if there is no mask.
	masked := want&(i.Mode>>3) == want
	member := false
	for _, e := range a {
		grants := uint32(e.Perm)&want == want
		switch {
		// "the effective user ID of the process matches the qualifier of any entry of type
		// ACL_USER": that entry and the mask decide.
		case e.Tag == acl.User && e.ID == c.UID.FS:
			return grants && masked
		// "the effective group ID or any of the supplementary group IDs of the process match
		// the file group or the qualifier of any entry of type ACL_GROUP": any of them that
		// contains the requested permissions, and the mask.
		case e.Tag == acl.GroupObj && c.InGroup(i.GID), e.Tag == acl.Group && c.InGroup(e.ID):
			if grants {
				return masked
			}
			member = true
		case e.Tag == acl.Other:
			return !member && grants
		}
	}
	return false
}
