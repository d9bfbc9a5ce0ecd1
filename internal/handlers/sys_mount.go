package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// Calls that mount. The caller's emulated capabilities decide whether it may.

// Mount handles mount(source, target, filesystemtype, mountflags, data).
func Mount(c *Call) Result {
	// mount(2) copies the strings before it looks for the target.
	if (c.Restricted() || c.lacksCap(unix.CAP_SYS_ADMIN)) && (c.badPointer(2) || c.badPointer(0) || c.badPointer(4)) {
		return Continue // EFAULT
	}
	if e := c.lacksAt(unix.CAP_SYS_ADMIN, 1, 0, false); e != 0 {
		return Errno(e)
	}
	if c.inRuntime() {
		return Continue
	}
	if attributes, ok := c.mountsSysfs(); ok {
		return c.mountSysfs(attributes)
	}
	if c.hasOwnerOptions() {
		c.dropOwnerOptions(c.addr(4))
	}
	c.noteMount()
	if e := c.noteServer(); e != 0 {
		return Errno(e)
	}
	return Continue
}

// MoveMount handles move_mount(from_dirfd, from_path, to_dirfd, to_path, flags).
func MoveMount(c *Call) Result {
	if c.lacksCap(unix.CAP_SYS_ADMIN) {
		return Errno(unix.EPERM)
	}
	// The mount of fsmount(2), which has no name yet.
	if c.uint32(4)&unix.MOVE_MOUNT_F_EMPTY_PATH != 0 && !c.createsAsRoot() && c.emptyString(1) {
		if i, e := c.openPath(c.Target.FD(c.int32(0))); e == 0 {
			c.recordMountRoot(i, c.fsIDs())
			c.close(i)
		}
	}
	return Continue
}

// The flags of umount2(2), from <linux/fs.h>.
const umountFlags = unix.MNT_FORCE | unix.MNT_DETACH | unix.MNT_EXPIRE | unix.UMOUNT_NOFOLLOW

// Umount handles umount(target), of i386.
func Umount(c *Call) Result { return c.umount(0) }

// Umount2 handles umount2(target, flags).
func Umount2(c *Call) Result { return c.umount(c.uint32(1)) }

func (c *Call) umount(flags uint32) Result {
	if flags&^umountFlags != 0 {
		return c.refuseUnknown(unix.EINVAL)
	}
	var walk uint32
	if flags&unix.UMOUNT_NOFOLLOW != 0 {
		walk = unix.AT_SYMLINK_NOFOLLOW
	}
	if e := c.lacksAt(unix.CAP_SYS_ADMIN, 0, walk, false); e != 0 {
		return Errno(e)
	}
	return Continue
}

// OpenTreeNamespace is OPEN_TREE_NAMESPACE of <linux/mount.h>, since Linux 7.0.
const OpenTreeNamespace = 2

// OpenTree handles open_tree(dirfd, path, flags) and open_tree_attr.
func OpenTree(c *Call) Result {
	if !c.Restricted() && !c.lacksCap(unix.CAP_SYS_ADMIN) {
		return Continue
	}
	// Which flags it knows, and that they need a capability, the kernel says before it looks
	// at the path, which is none here.
	e := c.asCaller(func() unix.Errno {
		_, e := sys.OpenTree(unix.AT_FDCWD, sys.Empty, c.uint32(2)&^unix.AT_EMPTY_PATH)
		return e
	})
	switch {
	case e == unix.EPERM:
		return Errno(e)
	case e != unix.ENOENT:
		return Continue // EINVAL
	}
	return c.reach(object{dirfd: c.int32(0), path: 1, flags: c.uint32(2) & (unix.AT_SYMLINK_NOFOLLOW | unix.AT_EMPTY_PATH)}, 0)
}

// The minimum and maximum size of struct mount_attr, and the flags of mount_setattr(2).
const (
	mountAttrSize    = unix.MOUNT_ATTR_SIZE_VER0
	maxMountAttrSize = 4096
	mountAttrFlags   = unix.AT_EMPTY_PATH | unix.AT_RECURSIVE | unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT
)

// MountSetattr handles mount_setattr(dirfd, path, flags, attr, size).
func MountSetattr(c *Call) Result {
	size := c.Data.Args[4]
	if c.uint32(2)&^uint32(mountAttrFlags) != 0 || size < mountAttrSize || size > maxMountAttrSize { // EINVAL or E2BIG
		return Continue
	}
	if c.lacksCap(unix.CAP_SYS_ADMIN) {
		return Errno(unix.EPERM)
	}
	return Continue
}

// Fsconfig handles fsconfig(fd, FSCONFIG_SET_STRING, key, value, aux).
func Fsconfig(c *Call) Result {
	var name, value [16]byte
	n, e := c.Target.ReadString(c.addr(2), name[:])
	if e != 0 {
		return Continue
	}
	if string(name[:n]) == "workdir" {
		var dir [unix.PathMax]byte
		if v, e := c.Target.ReadString(c.addr(3), dir[:]); e == 0 {
			c.noteWorkdir(dir[:v])
		}
		return Continue
	}
	v, e := c.Target.ReadString(c.addr(3), value[:])
	if e != 0 || !c.setsUnmappedOwner(name[:n], value[:v]) {
		return Continue
	}
	return Errno(0)
}
