package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// A new sysfs shows the devices of the caller's network namespace, and the kernel lets only
// the root of the user namespace that owns it mount one (EPERM otherwise). Programs that
// bootstrap a system, and container engines, mount it in the host's network namespace, too.
// There they get the sysfs of an empty network namespace. A bind mount of the caller's /sys
// would show the host's network devices, but could not be unmounted: it needs all mounts
// below /sys, too, and umount(2) refuses a mount that has others below it (EBUSY).

// sysfsFlags are the flags of mount(2) with which such a sysfs is mounted, and the attributes
// of fsmount(2) for them. With others, such as MS_REMOUNT, it is no new mount.
var sysfsFlags = []struct{ flag, attribute uint64 }{
	{unix.MS_RDONLY, unix.MOUNT_ATTR_RDONLY},
	{unix.MS_NOSUID, unix.MOUNT_ATTR_NOSUID},
	{unix.MS_NODEV, unix.MOUNT_ATTR_NODEV},
	{unix.MS_NOEXEC, unix.MOUNT_ATTR_NOEXEC},
	{unix.MS_NOATIME, unix.MOUNT_ATTR_NOATIME},
	{unix.MS_NODIRATIME, unix.MOUNT_ATTR_NODIRATIME},
	{unix.MS_RELATIME, 0}, // the default
	{unix.MS_SILENT, 0},
}

// mountsSysfs reports whether the call mount(source, target, filesystemtype, mountflags, data)
// makes a new mount of a sysfs, and returns the attributes for its flags.
func (c *Call) mountsSysfs() (attributes uint64, ok bool) {
	flags := c.mountFlags()
	for _, f := range sysfsFlags {
		if flags&f.flag != 0 {
			flags &^= f.flag
			attributes |= f.attribute
		}
	}
	if flags != 0 {
		return 0, false
	}
	var fstype [8]byte
	n, e := c.Target.ReadString(c.addr(2), fstype[:])
	return attributes, e == 0 && string(fstype[:n]) == "sysfs"
}

// mountSysfs answers a call for which mountsSysfs is true, if the kernel refuses a new sysfs
// in the caller's network namespace. Everything else continues.
func (c *Call) mountSysfs(attributes uint64) Result {
	if !c.Target.InContainer(c.PID) {
		return Continue
	}
	owner, e := c.Target.NamespaceOwner("net")
	if e == 0 {
		unix.Close(owner)
	}
	if e != unix.EPERM {
		return Continue
	}
	// A sysfs has no options. mount(8) passes an empty string.
	var option [1]byte
	if n, e := c.Target.ReadString(c.addr(4), option[:]); c.addr(4) != 0 && (e != 0 || n != 0) {
		return Continue
	}
	var source [unix.PathMax]byte
	n := 0
	if c.addr(0) != 0 {
		if n, e = c.Target.ReadString(c.addr(0), source[:]); e != 0 {
			return Continue
		}
	}
	p, e := c.Target.Path(unix.AT_FDCWD, c.addr(1), 0)
	if e != 0 {
		return Continue
	}
	place, e := c.openPath(p)
	if e != 0 {
		return Continue
	}
	defer c.close(place)
	if !place.isDir() {
		return Errno(unix.ENOTDIR)
	}
	// "source is already mounted on target"
	if place.isMountOf(unix.SYSFS_MAGIC) {
		return Errno(unix.EBUSY)
	}
	e = c.Network.Call(c.Target, func() unix.Errno {
		mount, err := newSysfs(string(source[:n]), int(attributes))
		if err != nil {
			e, _ := err.(unix.Errno) // the functions of package unix return no other error
			return e
		}
		defer unix.Close(mount)
		if !c.Listener.Waits() {
			return unix.ESRCH
		}
		return sys.MoveMount(mount, place.fd)
	})
	return Result{Errno: e, Final: e == 0}
}

// newSysfs returns the descriptor of a new, detached mount of a sysfs, with attributes of
// fsmount(2). Source is its name in mountinfo; if it is empty, that is "none". The error is EPERM
// if no sysfs is fully visible in the thread's mount namespace.
func newSysfs(source string, attributes int) (int, error) {
	fs, err := unix.Fsopen("sysfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer unix.Close(fs)
	if source != "" {
		if err := unix.FsconfigSetString(fs, "source", source); err != nil {
			return -1, err
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, err
	}
	return unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, attributes)
}
