package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/target"
)

// Files in /proc/PID belong to the task. proc(5): "The files inside each /proc/pid
// directory are normally owned by the effective user and effective group ID of the
// process."

// mayBelongToTask reports whether the file that p names may belong to a task of the
// container that is not root. Presence is the result of looking for its record.
func (c *Call) mayBelongToTask(p *target.Path, presence owner.Presence) bool {
	if !c.Identities.InUse() {
		return false
	}
	// Procfs has no extended attributes. But for a symbolic link, the kernel gives the same
	// error on every file system.
	return presence == owner.Unsupported || p.HasPrefix("/proc/")
}

// procOwner returns the owner of a file of procfs that belongs to a task, unless that owner is
// root. Ok is false for all other inodes.
func (c *Call) procOwner(i *inode) (_ owner.ID, ok bool) {
	if !c.Identities.InUse() || i.stat.Uid != c.Owners.Mapped.UID {
		return owner.ID{}, false
	}
	task, e := c.taskOf(i)
	if e != 0 {
		return owner.ID{}, false
	}
	s, e := c.Identities.Get(task)
	if e != 0 {
		return owner.ID{}, false
	}
	// "However, as a security measure, the ownership is made root:root if the process's
	// "dumpable" attribute is set to a value other than 1." World-readable
	// directories are excepted.
	if i.stat.Mode != unix.S_IFDIR|0o555 && s.Undumpable {
		root := c.dumpOwner(s.Program)
		return root, root != c.Owners.Mapped
	}
	id := owner.ID{UID: s.UID.Effective, GID: s.GID.Effective}
	return id, id != c.Owners.Mapped
}

// isTaskFile reports whether the inode is a file of procfs that belongs to a task. The kernel
// sets the owner of such a file anew whenever it looks the file up: pid_revalidate of
// fs/proc/base.c.
func (c *Call) isTaskFile(i *inode) bool {
	if i.stat.Blocks != 0 { // not on procfs
		return false
	}
	_, e := c.taskOf(i)
	return e == 0
}

// dumpOwner returns the owner of the files of an undumpable process whose memory belongs to the
// user namespace n.
//
// In task_dump_owner of fs/proc/base.c: root of that namespace, or for an id that its map
// lacks, that of the initial one.
func (c *Call) dumpOwner(n *cred.Namespace) owner.ID {
	root := c.Owners.Mapped
	if n == nil {
		return root
	}
	if uid := n.UID(0); uid != owner.Noop {
		root.UID = uid
	}
	if gid := n.GID(0); gid != owner.Noop {
		root.GID = gid
	}
	return root
}

// taskOf returns the supervisor's number of the task that a file of procfs describes.
func (c *Call) taskOf(i *inode) (uint32, unix.Errno) { return c.Target.ProcTask(i.fd, &i.stat) }
