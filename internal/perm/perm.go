// Package perm decides who may change an inode, and what becomes of its mode and
// owner: the discretionary access control of Linux. It makes no system calls.
//
// What the file system itself refuses (EROFS, an immutable or append-only inode),
// and what access to the path needs, is not decided here.
package perm

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
)

// Inode is the owner of an inode, as the thread sees it, and its mode, with the
// file type.
type Inode struct{ UID, GID, Mode uint32 }

// NoID is the owner or group of an inode whose id the user namespace does not map. It
// matches nobody: no process has the id -1.
const NoID = ^uint32(0)

// permissions are the mode bits that chmod(2) changes.
const permissions = 0o7777

// unchanged is an id of -1.
const unchanged = ^uint32(0)

func (i Inode) is(fileType uint32) bool { return i.Mode&unix.S_IFMT == fileType }

// Owner reports whether the thread counts as the owner of the inode.
//
// capabilities(7), CAP_FOWNER: "Bypass permission checks on operations that normally
// require the filesystem UID of the process to match the UID of the file".
func Owner(c cred.Credentials, i Inode) bool {
	return c.UID.FS == i.UID || c.Capable(unix.CAP_FOWNER)
}

// keepsSetgid reports whether the thread may leave S_ISGID on an inode of that group.
//
// capabilities(7), CAP_FSETID: "set the set-group-ID bit for a file whose GID does not
// match the filesystem or any of the supplementary GIDs of the calling process."
func keepsSetgid(c cred.Credentials, gid uint32) bool {
	return c.InGroup(gid) || c.Capable(unix.CAP_FSETID)
}

// Chmod is chmod(2): the new mode of the inode, with its file type, or an error. The
// mode bits that a new ACL brings follow the same rule.
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
	if !keepsSetgid(c, i.GID) {
		mode &^= unix.S_ISGID
	}
	return i.Mode&^permissions | mode&permissions, 0
}

// Chown is chown(2): the inode with the new owner, and the mode that it leaves, or
// an error. An id of -1 is not changed.
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
	case c.Capable(unix.CAP_CHOWN):
	// "Only a privileged process (Linux: one with the CAP_CHOWN capability) may change
	// the owner of a file."
	case uid != unchanged && !(owns && uid == i.UID),
		// "The owner of a file may change the group of the file to any group of which that
		// owner is a member."
		gid != unchanged && !(owns && (gid == i.GID || c.InGroup(gid))):
		return i, unix.EPERM
	}
	// To lose mode bits is a change of mode: who may not chmod, may not do it by chown.
	if to.Mode != i.Mode && !Owner(c, i) {
		return i, unix.EPERM
	}
	return to, 0
}

// chownMode is the mode that a chown leaves.
//
// chown(2): "When the owner or group of an executable file is changed by an unprivileged
// user, the S_ISUID and S_ISGID mode bits are cleared. [...] since Linux 2.2.13, root is
// treated like other users. In case of a non-group-executable file (i.e., one for which
// the S_IXGRP bit is not set) the S_ISGID bit indicates mandatory locking, and is not
// cleared by a chown()." It is, for those who could not set it, and directories keep all.
func chownMode(c cred.Credentials, i Inode, gid uint32) uint32 {
	if i.is(unix.S_IFDIR) {
		return i.Mode
	}
	mode := i.Mode &^ unix.S_ISUID
	if i.Mode&unix.S_IXGRP != 0 || !keepsSetgid(c, i.GID) {
		mode &^= unix.S_ISGID
	}
	// A change of mode drops what a chmod of the new group would drop.
	if mode != i.Mode && !keepsSetgid(c, gid) {
		mode &^= unix.S_ISGID
	}
	return mode
}

// Utimes is utimensat(2) and its like. Now tells that times is NULL, or that both times
// are UTIME_NOW; writable, that the thread may write to the file (path_resolution(7)).
// If both are UTIME_OMIT, "no file ownership or permission checks are performed".
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

// MayDelete applies the sticky bit of the directory to unlink, rmdir and rename of
// victim, after the directory itself was found to be writable.
//
// unlink(2): "EPERM [...] The directory containing pathname has the sticky bit (S_ISVTX)
// set and the process's effective UID is neither the UID of the file to be deleted nor
// that of the directory containing it, and the process is not privileged (Linux: does not
// have the CAP_FOWNER capability)."
func MayDelete(c cred.Credentials, dir, victim Inode) unix.Errno {
	if dir.Mode&unix.S_ISVTX == 0 || c.UID.FS == dir.UID || Owner(c, victim) {
		return 0
	}
	return unix.EPERM
}

// NewInode is the inode that mkdir(2), mknod(2), open(2), symlink(2) or bind(2) makes in
// parent. Mode has the file type, and the mode as it was asked for. Umask is umask(2), or
// 0 if parent has a default ACL, which is then to be applied to the result, or if the
// inode is a symbolic link.
func NewInode(c cred.Credentials, parent Inode, mode, umask uint32) Inode {
	i := Inode{UID: c.UID.FS, GID: c.GID.FS, Mode: mode & (unix.S_IFMT | permissions)}
	if i.is(unix.S_IFDIR) {
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
		case i.is(unix.S_IFDIR):
			i.Mode |= unix.S_ISGID
		// Nobody may make a set-group-ID program of a group that is not theirs.
		case i.Mode&unix.S_IXGRP != 0 && !keepsSetgid(c, parent.GID):
			i.Mode &^= unix.S_ISGID
		}
	}
	i.Mode &^= umask & 0o777
	return i
}

// Written is the mode that the thread leaves on a regular file by truncating it, or by
// writing to it.
//
// inode(7) and write(2): "If the set-user-ID or set-group-ID bits are set on the file" a
// write by an unprivileged user clears them. Capabilities(7), CAP_FSETID: "Don't clear
// set-user-ID and set-group-ID mode bits when a file is modified".
func Written(c cred.Credentials, i Inode) uint32 {
	if !i.is(unix.S_IFREG) || c.Capable(unix.CAP_FSETID) {
		return i.Mode
	}
	mode := i.Mode &^ unix.S_ISUID
	if i.Mode&unix.S_IXGRP != 0 || !c.InGroup(i.GID) {
		mode &^= unix.S_ISGID
	}
	return mode
}
