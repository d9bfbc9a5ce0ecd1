package perm

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/acl"
	"github.com/rootless-containers/subuidless/internal/cred"
)

// Protected has the values of the files protected_* in /proc/sys/fs, with which the kernel
// denies what the mode would allow, against traps that other users set: see proc_sys_fs(5).
type Protected struct{ Hardlinks, Symlinks, FIFOs, Regular int }

// MayFollow decides whether the caller may follow the symbolic link in the directory dir.
// It applies only if the link is the final component of a path. The error is EACCES.
//
// proc_sys_fs(5), protected_symlinks: "symbolic links are followed only when outside a
// sticky world-writable directory, or when the UID of the symbolic link and follower
// match, or when the directory owner matches the symbolic link's owner."
func (p Protected) MayFollow(c cred.Credentials, dir, link Inode) unix.Errno {
	const stickyWritable = unix.S_ISVTX | unix.S_IWOTH
	if p.Symlinks == 0 || dir.Mode&stickyWritable != stickyWritable || link.UID == c.UID.FS || link.UID == dir.UID {
		return 0
	}
	return unix.EACCES
}

// MayLink decides whether the caller may make a hard link to the inode, whose access ACL is
// a, or nil if it has none. The error is EPERM.
//
// proc_sys_fs(5), protected_hardlinks: "no hard links can be created to files that [...]
// the caller doesn't own [...] unless [...] CAP_FOWNER" or "the caller has read and write
// access" to a regular file that is not a set-user-ID or set-group-ID program.
func (p Protected) MayLink(c cred.Credentials, i Inode, a acl.ACL) unix.Errno {
	setID := i.Mode&unix.S_ISUID != 0 || i.Mode&(unix.S_ISGID|unix.S_IXGRP) == unix.S_ISGID|unix.S_IXGRP
	safe := i.isType(unix.S_IFREG) && !setID && Access(c, i, a, Read|Write) == 0
	if p.Hardlinks == 0 || safe || Owner(c, i) {
		return 0
	}
	return unix.EPERM
}

// MayOpenShared decides whether the caller may open the existing inode in the directory dir
// with O_CREAT. The error is EACCES.
//
// proc_sys_fs(5), protected_regular: "attempts to open with O_CREAT" files that the caller
// "doesn't own in world writable sticky directories, unless they are owned by the owner of
// the directory" are refused. "When set to 2 it also applies to group writable sticky
// directories." protected_fifos means the same for FIFOs. For other file types the kernel
// always behaves as with the value 1: it checks this before it finds that it cannot open
// them with O_CREAT.
func (p Protected) MayOpenShared(c cred.Credentials, dir, i Inode) unix.Errno {
	level := 1
	switch {
	case i.isType(unix.S_IFREG):
		level = p.Regular
	case i.isType(unix.S_IFIFO):
		level = p.FIFOs
	}
	if level == 0 || dir.Mode&unix.S_ISVTX == 0 || i.UID == dir.UID || i.UID == c.UID.FS {
		return 0
	}
	if dir.Mode&unix.S_IWOTH != 0 || level >= 2 && dir.Mode&unix.S_IWGRP != 0 {
		return unix.EACCES
	}
	return 0
}
