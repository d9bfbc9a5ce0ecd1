package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/perm"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// Chown handles chown(path, uid, gid).
func Chown(c *Call) Result {
	return c.chownPath(unix.AT_FDCWD, 0, 0, owner.ID{UID: c.uint32(1), GID: c.uint32(2)})
}

// Lchown handles lchown(path, uid, gid).
func Lchown(c *Call) Result {
	return c.chownPath(unix.AT_FDCWD, 0, unix.AT_SYMLINK_NOFOLLOW, owner.ID{UID: c.uint32(1), GID: c.uint32(2)})
}

// Fchown handles fchown(fd, uid, gid).
func Fchown(c *Call) Result {
	return c.chownFD(owner.ID{UID: c.uint32(1), GID: c.uint32(2)})
}

// Fchownat handles fchownat(dirfd, path, uid, gid, flags).
func Fchownat(c *Call) Result {
	flags := c.uint32(4)
	if flags&^(unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH) != 0 {
		return Errno(unix.EINVAL)
	}
	return c.chownPath(c.int32(0), 1, flags, owner.ID{UID: c.uint32(2), GID: c.uint32(3)})
}

// Chown16 handles the chown of i386, which has 16-bit ids.
func Chown16(c *Call) Result { return c.chownPath(unix.AT_FDCWD, 0, 0, c.ids16()) }

// Lchown16 handles the lchown of i386, which has 16-bit ids.
func Lchown16(c *Call) Result {
	return c.chownPath(unix.AT_FDCWD, 0, unix.AT_SYMLINK_NOFOLLOW, c.ids16())
}

// Fchown16 handles the fchown of i386, which has 16-bit ids.
func Fchown16(c *Call) Result { return c.chownFD(c.ids16()) }

// ids16 returns the arguments 1 and 2 as 16-bit ids; 0xffff means -1.
func (c *Call) ids16() owner.ID {
	return owner.ID{UID: c.id16(1), GID: c.id16(2)}
}

func (c *Call) chownPath(dirfd int32, arg int, flags uint32, to owner.ID) Result {
	if c.addr(arg) == 0 { // unlike statx(2), also with AT_EMPTY_PATH
		return Errno(unix.EFAULT)
	}
	if c.finished() {
		return Errno(0)
	}
	p, e := c.Target.Path(dirfd, c.addr(arg), flags)
	if e != 0 {
		return Errno(e)
	}
	i, e := c.openPath(p)
	if e != 0 {
		return Errno(e)
	}
	i = c.begun(i, dirfd, arg)
	defer c.close(i)
	return c.chown(i, to, fchownOPath)
}

func (c *Call) chownFD(to owner.ID) Result {
	i, e := c.dupFD(c.int32(0))
	change := fchown
	if e == unix.ENOSYS {
		i, e = c.openFD(c.int32(0))
		change = fchownOPath
	}
	if e != 0 {
		return Errno(e)
	}
	defer c.close(i)
	openedAsPath := func() bool {
		path, e := c.Target.OpenedAsPath(c.int32(0))
		return e == 0 && path
	}
	// The record of a special file changes without fchown(2), which would find the error.
	if !i.hasUserXattrs() && openedAsPath() {
		return Errno(unix.EBADF)
	}
	result := c.chown(i, to, change)
	if (result == Errno(unix.EPERM) || result == Errno(unix.EINVAL)) && openedAsPath() {
		return Errno(unix.EBADF)
	}
	return result
}

// chown changes the owner of the inode, if the caller may. Change is fchown, or fchownOPath
// if i.fd was opened with O_PATH.
func (c *Call) chown(i *inode, to owner.ID, change func(int, owner.ID) unix.Errno) Result {
	c.Owners.Lock(i.lockKey())
	defer c.Owners.Unlock(i.lockKey())

	if !c.Listener.Waits() {
		return Errno(unix.ESRCH) // the path may belong to another call by now
	}
	to, e := c.given(to)
	if e != 0 {
		return deny(i, e)
	}
	c.note(Intent{Inode: i.lockKey()})
	result := c.chownLocked(i, to, change)
	if result.Errno == 0 {
		c.Intent.Done = i.lockKey()
	}
	return result
}

// chownLocked is chown for a caller that still waits. The inode is locked.
func (c *Call) chownLocked(i *inode, to owner.ID, change func(int, owner.ID) unix.Errno) Result {
	if i.mayHaveSetID() {
		if e := c.refresh(i); e != 0 {
			return Errno(e)
		}
	}
	if c.kernelDecides(1<<unix.CAP_CHOWN | 1<<unix.CAP_FOWNER | 1<<unix.CAP_FSETID) {
		return c.changeOwner(i, to, change)
	}
	before := c.visible(i)
	after, e := perm.Chown(c.identity().Credentials, before, to.UID, to.GID)
	if e != 0 {
		return denyStatusChange(i, e)
	}
	drops := before.Mode&^after.Mode&unix.S_ISGID != 0
	if drops && sys.FileSystem(i.fd) == unix.OVERLAYFS_SUPER_MAGIC {
		// overlayfs changes the owner with the capabilities of whoever has mounted it, so the caller
		// need not be in the new group: ovl_setattr of fs/overlayfs/inode.c.
		after, _ = perm.Chown(c.identity().Credentials, before, to.UID, owner.Noop)
		drops = before.Mode&^after.Mode&unix.S_ISGID != 0
	}
	result := c.changeOwner(i, to, change)
	// For root, the kernel clears the same bits as for others, except for an S_ISGID
	// without group execute permission.
	if result.Errno == 0 && drops {
		return Errno(sys.FchmodOPath(i.fd, after.Mode))
	}
	return result
}

// changeOwner changes the owner of the inode.
//
// First the kernel changes it to the mapped id. Thereby it clears the set-id bits and the
// capabilities of the file, updates its ctime, and refuses what it would refuse root
// (EROFS, EPERM for an immutable file). Then the owner is recorded. The kernel's change would
// remove a record that is in the capability attribute of a special file, so that one is
// replaced at once, which does all the rest, too.
func (c *Call) changeOwner(i *inode, to owner.ID, change func(int, owner.ID) unix.Errno) Result {
	// The kernel clears recorded set-id bits, too. What keeps them from moving back keeps it from
	// changing the owner.
	c.unrecordSetID(i)
	// chown(2): "If the owner or group is specified as -1, then that ID is not changed."
	if to == unchanged && i.hasUserXattrs() {
		return Errno(change(i.fd, to))
	}
	if c.isShared(i) {
		return c.chownShared(i, to)
	}
	if c.Owners.Temporary != nil && i.stat.Uid != c.Owners.Mapped.UID {
		// A record that ends with the command changes nothing for the file's user.
		return Errno(c.Owners.Set(i.fd, i.stat.Dev, i.stat.Mode, to.Over(c.recordedOwner(i))))
	}
	mapped, id := c.Owners.Mapped, to
	if to.UID == owner.Noop || to.GID == owner.Noop {
		old := c.visible(i)
		id = to.Over(owner.ID{UID: old.UID, GID: old.GID})
	}
	// Set-id bits of special files mean nothing, and so are rare: they are the kernel's to clear.
	belongsToMapped := owner.ID{UID: i.stat.Uid, GID: i.stat.Gid} == c.Owners.Mapped
	if belongsToMapped && i.stat.Mode&(unix.S_ISUID|unix.S_ISGID) == 0 {
		if done, e := c.Owners.SetInInode(i.fd, i.stat.Dev, i.stat.Mode, id); done {
			if e == 0 {
				c.removeStoredCapability(i)
			}
			return Errno(e)
		}
	}
	if to.UID == owner.Noop {
		mapped.UID = owner.Noop
	}
	if to.GID == owner.Noop {
		mapped.GID = owner.Noop
	}
	special := !i.hasUserXattrs()
	if special {
		c.load(i)
	}
	if e := change(i.fd, mapped); e != 0 {
		return c.chownUnmapped(i, e)
	}
	if c.isTaskFile(i) {
		return Errno(0)
	}
	if special { // the kernel has removed the record
		i.record.ID = id
		return Errno(c.Owners.SetRecord(i.fd, i.stat.Dev, i.stat.Mode, &i.record))
	}
	return Errno(c.Owners.Set(i.fd, i.stat.Dev, i.stat.Mode, id))
}

// unchanged is the owner -1, -1 of chown(2): neither id changes.
var unchanged = owner.ID{UID: owner.Noop, GID: owner.Noop}

// recordedOwner returns the owner recorded for the inode.
func (c *Call) recordedOwner(i *inode) owner.ID {
	id, ok := c.Owners.Get(i.fd, i.stat.Mode)
	if !ok {
		return unchanged
	}
	return id
}

// chownShared records the owner of an inode of the host that other containers see, too, such
// as the /dev/null and the terminal that the launcher has bound. Programs expect that they
// can change it, and real root may. The record is for this container, and the inode stays as
// it is.
func (c *Call) chownShared(i *inode, to owner.ID) Result {
	if i.preferEROFS(unix.EPERM) == unix.EROFS {
		return Errno(unix.EROFS)
	}
	if to == unchanged {
		return Errno(0)
	}
	return Errno(c.Owners.SetHost(i.fd, i.stat.Dev, i.stat.Mode, to.Over(c.recordedOwner(i))))
}

// chownUnmapped handles a chown that the kernel has refused with e.
//
// A file whose owner is not mapped belongs to another user of the host, and stays as it is:
// EPERM. But on the kernel's pseudo file systems, the call succeeds without an effect,
// because programs expect it to (rpm's filesystem package changes the owner of /proc and
// /sys).
func (c *Call) chownUnmapped(i *inode, e unix.Errno) Result {
	if e == unix.EPERM && i.stat.Uid != c.Owners.Mapped.UID && i.isPseudoFile() {
		return Errno(0)
	}
	return Errno(e)
}

// fchown is fchown(2), which fails with EBADF for O_PATH descriptors.
func fchown(fd int, id owner.ID) unix.Errno { return sys.Fchown(fd, id.UID, id.GID) }

// fchownOPath is fchown that accepts O_PATH descriptors.
func fchownOPath(fd int, id owner.ID) unix.Errno { return sys.FchownOPath(fd, id.UID, id.GID) }
