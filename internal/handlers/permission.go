package handlers

import (
	"bytes"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/acl"
	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/perm"
	"github.com/rootless-containers/subuidless/internal/sys"
	"github.com/rootless-containers/subuidless/internal/target"
)

// The kernel sees a single user: every task of the container is root in its user namespace,
// and may change every inode. Package perm decides what the kernel would refuse other
// users; the kernel still refuses what it refuses root.
//
// If perm allows a change, the supervisor makes it itself, on the descriptor that it has
// checked. If the kernel executed the call, the path might lead elsewhere by then.

// kernelDecides reports whether the kernel's own decision is right for the caller: the
// caller has all of caps in the container's user namespace, and is not restricted.
func (c *Call) kernelDecides(caps cred.Caps) bool {
	s := c.identity()
	return s.Effective&caps == caps && s.Namespace == nil && !c.Restricted()
}

// Restricted implements target.Guard. It reports whether the caller lacks the capabilities
// to bypass file permission checks, and permissions are enforced.
func (c *Call) Restricted() bool {
	return !c.NoPermissions && c.Identities.InUse() && !c.subject().ReachesAll()
}

// refuseUnknown answers a call with flags that this program does not know. The error is e on kernels
// that know no more; on a later one, the call might do what nobody has checked, so only root may try.
func (c *Call) refuseUnknown(e unix.Errno) Result {
	if c.Restricted() {
		return Errno(e)
	}
	return Continue
}

// subject returns the credentials that file permissions are checked against: the caller's,
// or for access(2) those with the real ids.
func (c *Call) subject() *cred.Credentials {
	if c.asAccess {
		return &c.accessCredentials
	}
	return &c.identity().Credentials
}

// Search implements target.Guard.
//
// path_resolution(7): "If the process does not have search permission on the current lookup
// directory, an EACCES error is returned ("Permission denied")."
func (c *Call) Search(dir int, st *unix.Stat_t) unix.Errno {
	i := c.borrow(dir, st)
	e := c.permits(i, perm.Exec)
	c.release(i)
	if e != 0 {
		c.Roots.SearchDenied(st)
	}
	return e
}

// Passable implements target.Guard. It asks by path, and remembers directories without an
// ACL.
func (c *Call) Passable(path *byte, st *unix.Stat_t) bool {
	if st.Mode&0o111 != 0o111 {
		return false
	}
	if c.noACL.contains(st) {
		return true
	}
	_, e := sys.Getxattr(path, false, accessACL.name(), nil)
	c.noACL.add(st, e)
	return sys.LacksXattr(e)
}

// Follow implements target.Guard.
func (c *Call) Follow(dir, link int, st *unix.Stat_t) unix.Errno {
	if c.Protected.Symlinks == 0 {
		return 0
	}
	parent, e := c.borrowFD(dir)
	if e != 0 {
		return e
	}
	i := c.borrow(link, st)
	e = c.Protected.MayFollow(*c.subject(), c.visible(parent), c.visible(i))
	c.release(i)
	c.release(parent)
	return e
}

// Jump implements target.Guard.
//
// proc_pid_fd(5), and others: "Permission to dereference or read (readlink(2)) the symbolic links
// in this directory is governed by a ptrace access mode PTRACE_MODE_READ_FSCREDS check".
//
// Callers that bypass all permissions of files may lack the capability for this.
func (c *Call) Jump(link int, st *unix.Stat_t) unix.Errno {
	if c.NoPermissions || !c.Identities.InUse() {
		return 0
	}
	i := c.borrow(link, st)
	e := c.mayInspect(i)
	c.release(i)
	return e
}

// mayLeadToOther reports whether p may be a file of another task in /proc that the caller needs
// CAP_SYS_PTRACE for, which it lacks. It is true for no path that the caller has shortened.
func (c *Call) mayLeadToOther(p *target.Path) bool {
	return !c.NoPermissions && c.lacksCapInContainer(unix.CAP_SYS_PTRACE) && p.HasPrefix("/proc/")
}

// deny returns the answer to a change of the inode that the permissions forbid with e.
func deny(i *inode, e unix.Errno) Result { return Errno(i.preferEROFS(e)) }

// denyStatusChange is deny for a change of mode, owner or times.
func denyStatusChange(i *inode, e unix.Errno) Result {
	// Since Linux 6.17, those of anonymous inodes, such as epoll descriptors, cannot be
	// changed.
	if sys.FileSystem(i.fd) == unix.ANON_INODE_FS_MAGIC {
		if own := fchownOPath(i.fd, unchanged); own != 0 {
			e = own
		}
	}
	return deny(i, e)
}

// continueOrDeny lets the kernel execute a call that changes the directory dir, unless the
// permissions forbid it with e.
func continueOrDeny(dir *inode, e unix.Errno) Result {
	if e == 0 {
		return Continue
	}
	return deny(dir, e)
}

// continueUnlessDenied lets the kernel execute a call unless e is a missing permission, or the
// supervisor lacks descriptors or memory: what the kernel then shows may be wrong. The kernel finds
// all other errors itself, in its own order.
func continueUnlessDenied(e unix.Errno) Result {
	switch e {
	case unix.EACCES, unix.EPERM:
		return Errno(e)
	case unix.EMFILE, unix.ENFILE, unix.ENOMEM: // not the caller's, but a limit of the system to it
		return Errno(unix.ENOMEM)
	}
	return Continue
}

// reach lets the kernel execute a call if the caller may search the directories on the path
// of the object o, and has the permissions in want to the object.
func (c *Call) reach(o object, want uint32) Result {
	if !c.Restricted() {
		return Continue
	}
	i, e := c.openObject(o)
	if e == 0 {
		if want != 0 {
			e = c.preferReadOnlyFS(i, want, c.permits(i, want))
		}
		c.close(i)
	}
	return continueUnlessDenied(e)
}

// permits checks whether the caller has all permissions in want (perm.Read, perm.Write,
// perm.Exec) to the inode. The error is EACCES, or EPERM if no user may write to the inode.
func (c *Call) permits(i *inode, want uint32) unix.Errno {
	// Only an ACL takes away what the mode grants to owner, group and others alike.
	if mode := i.stat.Mode; mode&(mode>>3)&(mode>>6)&want == want && !c.hasACL(i) {
		return 0
	}
	e := c.permitsAs(i, c.visible(i), want)
	if e == 0 || !i.isProc() {
		return e
	}
	if i.stat.Mode == unix.S_IFDIR|0o500 && c.isOwnTask(i) || c.administersNet(i, want) {
		return 0
	}
	return e
}

// administersNet reports whether the inode is a parameter in /proc/sys/net of a network namespace
// that belongs to the caller's nested user namespace. There the permissions in want, which mode and
// owner do not grant, follow from CAP_NET_ADMIN.
//
// In net_ctl_permissions of net/sysctl_net.c: "Allow network administrator to have same access as
// root."
func (c *Call) administersNet(i *inode, want uint32) bool {
	if c.namespace() == nil || i.stat.Mode>>6&want != want {
		return false
	}
	path, e := i.path()
	if e != 0 || !bytes.Contains(path, []byte("/sys/net/")) {
		return false
	}
	s := c.identityIn("net")
	return s.Capable(unix.CAP_NET_ADMIN)
}

// isOwnTask reports whether the inode is a file of procfs about the caller's own process,
// whose directory fd the caller may always read. ptrace(2): "If the calling thread and the
// target thread are in the same thread group, access is always allowed."
func (c *Call) isOwnTask(i *inode) bool {
	task, e := c.taskOf(i)
	return e == 0 && (task == c.Target.TID || c.Target.SameProcess(task, c.Target.TID))
}

// permitsAs is permits for an inode that is visible as v.
func (c *Call) permitsAs(i *inode, v perm.Inode, want uint32) unix.Errno {
	e := perm.Access(*c.subject(), v, c.mergedACL(i), want)
	if e != 0 && want&perm.Write != 0 && i.isImmutable() {
		return unix.EPERM
	}
	return e
}

// mergedACL returns the access ACL of an inode whose record has been loaded, with the
// recorded entries; nil if it has none.
func (c *Call) mergedACL(i *inode) acl.ACL {
	if !c.hasACL(i) {
		return nil
	}
	value, e := nativeACL(i, accessACL)
	if e != 0 {
		return nil
	}
	return withRecorded(value, i.record.Access)
}

// hasACL reports whether the inode has an access ACL.
func (c *Call) hasACL(i *inode) bool {
	if c.noACL.contains(&i.stat) {
		return false
	}
	_, e := getxattrOPath(i.fd, accessACL.name(), nil)
	c.noACL.add(&i.stat, e)
	return e == 0
}

// mayModify checks whether the caller may create and remove names in the directory. The
// error is EACCES.
//
// path_resolution(7): this takes write and search permission to the directory.
func (c *Call) mayModify(dir *inode) unix.Errno {
	e := c.permits(dir, perm.Write|perm.Exec)
	// In procfs, and in a removed directory, the kernel looks up the name first: ENOENT.
	if e != 0 && (dir.stat.Nlink == 0 || dir.isProc()) {
		return 0
	}
	return e
}
