package perm

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/acl"
	"github.com/rootless-containers/subuidless/internal/cred"
)

// Protected are the settings of this kernel in /proc/sys/fs that refuse what the mode
// would allow, where others might lay traps: see proc_sys_fs(5).
type Protected struct{ Hardlinks, Symlinks, FIFOs, Regular int }

// MayFollow decides whether the thread may follow a symbolic link in the directory dir
// which is the last name of a path: 0 or EACCES.
//
// proc_sys_fs(5), protected_symlinks: "symbolic links are followed only when outside a sticky
// world-writable directory, or when the UID of the symbolic link and follower match, or when
// the directory owner matches the symbolic link's owner."
func (p Protected) MayFollow(c cred.Credentials, dir, link Inode) unix.Errno {
	const shared = unix.S_ISVTX | unix.S_IWOTH
	if p.Symlinks == 0 || dir.Mode&shared != shared || link.UID == c.UID.FS || link.UID == dir.UID {
		return 0
	}
	return unix.EACCES
}

// MayLink decides whether the thread may make a hard link to the inode, whose access ACL
// is a: 0 or EPERM.
//
// proc_sys_fs(5), protected_hardlinks: "no hard links can be created to files that [...] the
// caller doesn't own [...] unless [...] CAP_FOWNER" or "the caller has read and write access"
// to a regular file which is no set-id program.
func (p Protected) MayLink(c cred.Credentials, i Inode, a acl.ACL) unix.Errno {
	program := i.Mode&unix.S_ISUID != 0 || i.Mode&(unix.S_ISGID|unix.S_IXGRP) == unix.S_ISGID|unix.S_IXGRP
	safe := i.is(unix.S_IFREG) && !program && Access(c, i, a, Read|Write) == 0
	if p.Hardlinks == 0 || safe || Owner(c, i) {
		return 0
	}
	return unix.EPERM
}

// MayOpenShared decides whether the thread may open the existing inode in the directory
// dir with O_CREAT: 0 or EACCES.
//
// proc_sys_fs(5), protected_regular: "attempts to open with O_CREAT" files that the caller "doesn't
// own in world writable sticky directories, unless they are owned by the owner of the
// directory" are refused. "When set to 2 it also applies to group writable sticky
// directories." Of protected_fifos the same is true of FIFOs. Of what is neither, the kernel refuses the same
// without being told to, before it finds that it cannot be opened so.
func (p Protected) MayOpenShared(c cred.Credentials, dir, i Inode) unix.Errno {
	level := 1
	switch {
	case i.is(unix.S_IFREG):
		level = p.Regular
	case i.is(unix.S_IFIFO):
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
