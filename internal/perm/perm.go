// Package perm implements the discretionary access control of Linux as pure functions:
// whether a caller may access or change an inode, and which mode and owner the inode has
// afterwards. It makes no system calls.
//
// It does not decide what depends on other state: search permission on the path, and
// errors of the file system (EROFS, immutable and append-only inodes).
//
// A caller is given by its credentials, and ids are emulated ids of the container's user
// namespace. Capabilities of a caller in another one count for inodes whose owner is mapped
// there: cred.Credentials.CapableOver. Functions that return
// an error number return 0 if the caller may do the operation.
package perm

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
)

// Inode has the owner of an inode, as emulated ids, and its mode with the file type.
type Inode struct{ UID, GID, Mode uint32 }

// NoID is the owner or group of an inode whose id the user namespace does not map. It
// matches nobody: no process has the id -1.
const NoID = ^uint32(0)

// permissions are the mode bits that chmod(2) changes.
const permissions = 0o7777

// unchanged is the id -1, with which chown(2) changes nothing.
const unchanged = ^uint32(0)

// isType reports whether the inode has the file type, such as S_IFREG of inode(7).
func (i Inode) isType(fileType uint32) bool { return i.Mode&unix.S_IFMT == fileType }

// Owner reports whether the caller has the rights of the inode's owner.
//
// capabilities(7), CAP_FOWNER: "Bypass permission checks on operations that normally
// require the filesystem UID of the process to match the UID of the file".
func Owner(c cred.Credentials, i Inode) bool {
	return c.UID.FS == i.UID || c.Capable(unix.CAP_FOWNER) && c.Namespace.MapsUID(i.UID)
}

// maySetgid reports whether the caller may leave S_ISGID set on the inode, of the group gid.
//
// capabilities(7), CAP_FSETID: "set the set-group-ID bit for a file whose GID does not
// match the filesystem or any of the supplementary GIDs of the calling process."
func maySetgid(c cred.Credentials, i Inode, gid uint32) bool {
	return c.InGroup(gid) || c.CapableOver(i.UID, i.GID, unix.CAP_FSETID)
}

// Chmod returns the mode of the inode, with its file type, after a chmod(2) to mode. The
// same rule applies to the mode bits that a new access ACL sets. If the caller may not do
// it, the error is EPERM and the mode is the old one.
func Chmod(c cred.Credentials, i Inode, mode uint32) (newMode uint32, e unix.Errno) {
	// "EPERM The effective UID does not match the owner of the file, and the process is
	// not privileged (Linux: it does not have the CAP_FOWNER capability)."
	if !Owner(c, i) {
		return i.Mode, unix.EPERM
	}
	// "If the calling process is not privileged (Linux: does not have the CAP_FSETID
	// capability), and the group of the file does not match the effective group ID of the
	// process or one of its supplementary group IDs, the S_ISGID bit will be turned off,
	// but this will not cause an error to be returned."
	if !maySetgid(c, i, i.GID) {
		mode &^= unix.S_ISGID
	}
	return i.Mode&^permissions | mode&permissions, 0
}

// Chown returns the inode after a chown(2) to uid and gid, where -1 leaves an id unchanged:
// its owner, and its mode without the bits that are cleared. If the caller may not do it,
// the error is EPERM and the inode is the old one.
func Chown(c cred.Credentials, i Inode, uid, gid uint32) (Inode, unix.Errno) {
	to := i
	if uid != unchanged {
		to.UID = uid
	}
	if gid != unchanged {
		to.GID = gid
	}
	to.Mode = chownMode(c, i, to.GID)

	owns := c.UID.FS == i.UID
	switch {
	case c.CapableOver(i.UID, i.GID, unix.CAP_CHOWN):
	// "Only a privileged process (Linux: one with the CAP_CHOWN capability) may change
	// the owner of a file."
	case uid != unchanged && !(owns && uid == i.UID),
		// "The owner of a file may change the group of the file to any group of which that
		// owner is a member."
		gid != unchanged && !(owns && (gid == i.GID || c.InGroup(gid))):
		return i, unix.EPERM
	}
	// Clearing mode bits is a change of mode, which needs the permission for chmod(2).
	if to.Mode != i.Mode && !Owner(c, i) {
		return i, unix.EPERM
	}
	return to, 0
}

// chownMode returns the mode after a chown(2) by which the inode gets the group gid.
//
// chown(2): "When the owner or group of an executable file is changed by an unprivileged
// user, the S_ISUID and S_ISGID mode bits are cleared. [...] since Linux 2.2.13, root is
// treated like other users. In case of a non-group-executable file (i.e., one for which
// the S_IXGRP bit is not set) the S_ISGID bit indicates mandatory locking, and is not
// cleared by a chown()." In fact that bit is cleared as well if the caller could not set
// it. Directories keep all bits.
func chownMode(c cred.Credentials, i Inode, gid uint32) uint32 {
	if i.isType(unix.S_IFDIR) {
		return i.Mode
	}
	mode := i.Mode &^ unix.S_ISUID
	if i.Mode&unix.S_IXGRP != 0 || !maySetgid(c, i, i.GID) {
		mode &^= unix.S_ISGID
	}
	// With the new group, the rule of chmod(2) applies too if the mode changes.
	if mode != i.Mode && !maySetgid(c, i, gid) {
		mode &^= unix.S_ISGID
	}
	return mode
}

// Utimes decides utimensat(2), utime(2) and utimes(2). Now says that times is NULL or that
// both times are UTIME_NOW, writable that the caller has write permission on the file (see
// Access). The error is EACCES or EPERM. Do not call it if both times are UTIME_OMIT: then
// "no file ownership or permission checks are performed".
func Utimes(c cred.Credentials, i Inode, now, writable bool) unix.Errno {
	switch {
	case Owner(c, i), now && writable:
		return 0
	case now:
		// "EACCES times is NULL, or both tv_nsec values are UTIME_NOW, and the effective user
		// ID of the caller does not match the owner of the file, the caller does not have
		// write access to the file, and the caller is not privileged".
		return unix.EACCES
	}
	// "EPERM The caller attempted to change one or both timestamps to a value other than the
	// current time", "and the caller is not privileged".
	return unix.EPERM
}

// MayDelete decides whether the sticky bit of the directory dir lets the caller remove or
// rename victim in it. Write and search permission on dir must be checked before. The
// error is EPERM.
//
// unlink(2): "EPERM [...] The directory containing pathname has the sticky bit (S_ISVTX)
// set and the process's effective UID is neither the UID of the file to be deleted nor
// that of the directory containing it, and the process is not privileged (Linux: does not
// have the CAP_FOWNER capability)."
func MayDelete(c cred.Credentials, dir, victim Inode) unix.Errno {
	if dir.Mode&unix.S_ISVTX == 0 || c.UID.FS == dir.UID || c.UID.FS == victim.UID ||
		c.CapableOver(victim.UID, victim.GID, unix.CAP_FOWNER) {
		return 0
	}
	return unix.EPERM
}

// NewInode returns the inode that mkdir(2), mknod(2), open(2), symlink(2) or bind(2) makes
// in the directory parent. Mode is the requested one with the file type. Umask is that of
// umask(2), or 0 for a symbolic link, or if parent has a default ACL: the caller of
// NewInode must then apply that to the result, see acl.ACL.Create.
func NewInode(c cred.Credentials, parent Inode, mode, umask uint32) Inode {
	i := Inode{UID: c.UID.FS, GID: c.GID.FS, Mode: mode & (unix.S_IFMT | permissions)}
	if i.isType(unix.S_IFDIR) {
		// mkdir(2): "the mode of the created directory is (mode & ~umask & 0777)"; "Under
		// Linux, apart from the permission bits, the S_ISVTX mode bit is also honored."
		i.Mode &^= unix.S_ISUID | unix.S_ISGID
	}
	if parent.Mode&unix.S_ISGID != 0 {
		// inode(7): "files created there inherit their group ID from the directory, not from
		// the effective group ID of the creating process, and directories created there will
		// also get the S_ISGID bit set."
		i.GID = parent.GID
		switch {
		case i.isType(unix.S_IFDIR):
			i.Mode |= unix.S_ISGID
		// A set-group-ID program of another group would give the caller its rights.
		case i.Mode&unix.S_IXGRP != 0 && !maySetgid(c, parent, parent.GID):
			i.Mode &^= unix.S_ISGID
		}
	}
	i.Mode &^= umask & 0o777
	return i
}

// Written returns the mode of a regular file after the caller has written to it or
// truncated it. Other file types keep their mode.
//
// inode(7) and write(2): "If the set-user-ID or set-group-ID bits are set on the file" a
// write by an unprivileged user clears them. capabilities(7), CAP_FSETID: "Don't clear
// set-user-ID and set-group-ID mode bits when a file is modified".
func Written(c cred.Credentials, i Inode) uint32 {
	if !i.isType(unix.S_IFREG) || c.CapableInContainer(unix.CAP_FSETID) {
		return i.Mode
	}
	mode := i.Mode &^ unix.S_ISUID
	if i.Mode&unix.S_IXGRP != 0 || !maySetgid(c, i, i.GID) {
		mode &^= unix.S_ISGID
	}
	return mode
}
