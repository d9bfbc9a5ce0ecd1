package kernel

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/acl"
	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/perm"
)

// To the kernel every task of the container is root, and may change every inode.
// What it would refuse other users, package perm refuses; what it refuses root, it
// refuses itself.
//
// A change that perm allows is made by us, on the very object that perm was asked
// about: if the kernel executed the call, its path might lead elsewhere by then.

// privileged tells whether the caller has all these capabilities, with which the
// kernel's own decision is right.
func (c *Call) privileged(caps cred.Caps) bool { return c.identity().Effective&caps == caps }

// refuse answers a change of the object that fd refers to which perm refused
// with e.
func refuse(fd int, e unix.Errno) Result {
	// The kernel asks whether the mount can be written to before all else.
	var fs unix.Statfs_t
	if fstatfs(fd, &fs) == 0 && fs.Flags&unix.ST_RDONLY != 0 {
		return Errno(unix.EROFS)
	}
	return Errno(e)
}

// access decides whether the caller has all the permissions in want, perm.Read,
// perm.Write and perm.Exec, to the object i that fd refers to, for which c.rec is
// recorded: 0 or EACCES.
func (c *Call) access(fd int, i perm.Inode, want uint32) unix.Errno {
	var a acl.ACL
	if value, e := nativeACL(fd, accessACL); e == 0 {
		a = mergeACL(value, c.rec.Access)
	}
	return perm.Access(c.identity().Credentials, i, a, want)
}
