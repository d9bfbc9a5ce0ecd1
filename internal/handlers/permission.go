package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/acl"
	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/perm"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// To the kernel every task of the container is root, and may change every inode.
// What it would refuse other users, package perm refuses; what it refuses root, it
// refuses itself.
//
// A change that perm allows is made by us, on the very object that perm was asked
// about: if the kernel executed the call, its path might lead elsewhere by then.

// kernelDecides tells whether the caller has all these capabilities, with which the
// kernel's own decision is right, and may walk every path.
func (c *Call) kernelDecides(caps cred.Caps) bool {
	return c.identity().Effective&caps == caps && !c.Restricted()
}

// Restricted implements target.Guard. Who is not restricted has the kernel's own
// decision about every file.
func (c *Call) Restricted() bool {
	return !c.NoPermissions && c.Identities.InUse() && !c.subject().ReachesAll()
}

// subject is who is asked about where files are concerned: the caller, but for access(2).
func (c *Call) subject() *cred.Credentials {
	if c.assumed {
		return &c.assumedAs
	}
	return &c.identity().Credentials
}

// Search implements target.Guard.
//
// path_resolution(7): "If the process does not have search permission on the current lookup
// directory, an EACCES error is returned ("Permission denied")."
func (c *Call) Search(dir int, st *unix.Stat_t) unix.Errno {
	c.stat = *st
	e := c.permits(dir, perm.Exec)
	if e != 0 {
		c.Roots.SearchDenied(st)
	}
	return e
}

// Passable implements target.Guard.
func (c *Call) Passable(path *byte, st *unix.Stat_t) bool {
	if st.Mode&0o111 != 0o111 {
		return false
	}
	if c.withoutACL.has(st) {
		return true
	}
	_, e := sys.Getxattr(path, false, accessACL.name(), nil)
	c.withoutACL.note(st, e)
	return sys.LacksXattr(e)
}

// Follow implements target.Guard.
func (c *Call) Follow(dir, link int, st *unix.Stat_t) unix.Errno {
	if c.Protected.Symlinks == 0 {
		return 0
	}
	c.stat = *st
	target := c.visible(link)
	if e := sys.Fstat(dir, &c.stat); e != 0 {
		return e
	}
	return c.Protected.MayFollow(*c.subject(), c.visible(dir), target)
}

// Jump implements target.Guard.
//
// proc_pid_fd(5), and others: "Permission to dereference or read (readlink(2)) the symbolic links
// in this directory is governed by a ptrace access mode PTRACE_MODE_READ_FSCREDS check".
func (c *Call) Jump(link int, st *unix.Stat_t) unix.Errno {
	c.stat = *st
	return c.mayLookInto(link)
}

// deny answers a change of the object that fd refers to which perm refused
// with e.
func deny(fd int, e unix.Errno) Result { return Errno(readOnlyFirst(fd, e)) }

// readOnlyFirst is the error of such a change. The kernel asks whether the mount can be
// written to before all else.
func readOnlyFirst(fd int, e unix.Errno) unix.Errno {
	var fs unix.Statfs_t
	if e != 0 && sys.Fstatfs(fd, &fs) == 0 && fs.Flags&unix.ST_RDONLY != 0 {
		return unix.EROFS
	}
	return e
}

// denyStatusChange is refuse for a change of what stat(2) shows.
func denyStatusChange(fd int, e unix.Errno) Result {
	// Since Linux 6.17, of an inotify or epoll descriptor, say, nobody can change it.
	if sys.FileSystem(fd) == unix.ANON_INODE_FS_MAGIC {
		if own := fchownOPath(fd, unchanged); own != 0 {
			e = own
		}
	}
	return deny(fd, e)
}

// permits decides whether the caller has all the permissions in want, perm.Read,
// perm.Write and perm.Exec, to the object that fd refers to; c.stat is its status.
// The error is EACCES, or EPERM if nobody may write to it.
func (c *Call) permits(fd int, want uint32) unix.Errno {
	// What the mode gives to everybody, only an ACL takes away.
	if mode := c.stat.Mode; mode&(mode>>3)&(mode>>6)&want == want && !c.hasACL(fd) {
		return 0
	}
	stat := c.stat
	e := c.access(fd, c.visible(fd), want)
	if e != 0 && stat.Mode == unix.S_IFDIR|0o500 && isProc(fd) && c.isOwnTask(fd, &stat) {
		return 0
	}
	return e
}

// isOwnTask tells whether our descriptor fd refers to a file of procfs, of status st, about the
// caller's own process. The directory fd there is open to it, whoever it has become: to look at
// itself a process never needs the permissions of ptrace(2).
func (c *Call) isOwnTask(fd int, st *unix.Stat_t) bool {
	task, e := c.Target.ProcTask(fd, st)
	return e == 0 && (task == c.Target.TID || c.Target.SameProcess(task, c.Target.TID))
}

// access is permits for the inode i, for which c.rec is recorded.
func (c *Call) access(fd int, i perm.Inode, want uint32) unix.Errno {
	e := perm.Access(*c.subject(), i, c.accessACL(fd), want)
	if e != 0 && want&perm.Write != 0 && isImmutable(fd) {
		return unix.EPERM
	}
	return e
}

// isImmutable tells whether nobody may write to what fd refers to: the kernel says so before
// it looks at permissions. So are the directories of processes in procfs.
func isImmutable(fd int) bool {
	return sys.Access(fd, unix.W_OK) == unix.EPERM
}

// accessACL is the access ACL of the object that fd refers to, whose status is c.stat, and for
// which c.rec is recorded: nil if it has none.
func (c *Call) accessACL(fd int) acl.ACL {
	if !c.hasACL(fd) {
		return nil
	}
	value, e := nativeACL(fd, accessACL)
	if e != 0 {
		return nil
	}
	return mergeACL(value, c.rec.Access)
}

// hasACL tells whether the object that fd refers to, whose status is c.stat, has an access ACL.
func (c *Call) hasACL(fd int) bool {
	if c.withoutACL.has(&c.stat) {
		return false
	}
	_, e := getAttribute(fd, accessACL.name(), nil)
	c.withoutACL.note(&c.stat, e)
	return e == 0
}

// mayModify decides whether the caller may make and remove names in the directory that
// fd refers to; c.stat is its status. The error is EACCES.
//
// path_resolution(7): it takes write permission to the directory, and search permission.
func (c *Call) mayModify(fd int) unix.Errno {
	e := c.permits(fd, perm.Write|perm.Exec)
	// To look for a name that is not there fails first in procfs, and in a directory that has
	// been removed: ENOENT.
	if e != 0 && (c.stat.Nlink == 0 || isProc(fd)) {
		return 0
	}
	return e
}

func isProc(fd int) bool {
	return sys.FileSystem(fd) == unix.PROC_SUPER_MAGIC
}

// reach answers a call that the kernel is to execute if the caller may search the
// directories on the way to the object o, and has the permissions in want to it.
func (c *Call) reach(o object, want uint32) Result {
	if !c.Restricted() {
		return Continue
	}
	fd, e := c.openObject(o)
	if e == 0 {
		if want != 0 {
			e = c.permits(fd, want)
		}
		unix.Close(fd)
	}
	return continueUnlessDenied(e) // other errors are the kernel's own
}

// continueUnlessDenied lets the kernel execute a call for which there was an error e, unless the
// permission is missing. Of other errors the kernel has its own opinion, and its own order.
func continueUnlessDenied(e unix.Errno) Result {
	if e == unix.EACCES || e == unix.EPERM {
		return Errno(e)
	}
	return Continue
}
