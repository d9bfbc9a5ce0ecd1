package launch

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// mountAll mounts the file systems that the OCI runtime specification lists
// (config-linux.md, "Default Filesystems"), and then the user's volumes.
func (c *container) mountAll(b *binds) error {
	if err := b.proc.attach(); err != nil {
		return err
	}
	if err := setSysctls(c.Sysctls); err != nil {
		return err
	}
	if err := mountDev(b.devices, c.ShmSize); err != nil {
		return err
	}
	if err := c.mountSys(b); err != nil {
		return err
	}
	if c.HostRoot {
		if err := protectKernel(); err != nil {
			return err
		}
	}
	for _, file := range b.network {
		// A rootfs in which the user cannot create the mount point is used as it is.
		if err := file.attach(); err != nil && !isUnwritable(err) {
			return err
		}
	}
	return attachAll(b.volumes)
}

// mountSys mounts /sys, and the cgroup namespace's view of the cgroups if there is one.
func (c *container) mountSys(b *binds) error {
	if err := b.sys.attach(); err != nil {
		return err
	}
	if !b.cgroup2 || !c.CgroupNamespace {
		return nil
	}
	// Not by mount(2), which mounts no file system on itself: the host's view is there.
	tree, err := newTree("cgroup2", unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC|unix.MOUNT_ATTR_RDONLY)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EBUSY) {
		// The kernel forbids it. The host's view stays, read-only as well.
		return nil
	}
	if err != nil {
		return err
	}
	defer tree.Close()
	return attach(tree, "/sys/fs/cgroup")
}

// protectKernel masks the files by which a container of the host's real root could control
// the kernel without any capability: for files in /proc, the kernel checks nothing but the
// owner's permission bits. The paths are the defaults of runc.
//
// The containers of other users do not need it, and can nest without it: the kernel allows
// mounting a new /proc only if the existing one is fully visible.
func protectKernel() error {
	for _, name := range []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"} {
		if err := bindReadonly(name, name); err != nil {
			return err
		}
	}
	for _, name := range []string{"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/firmware"} {
		if err := mask(name); err != nil {
			return err
		}
	}
	return nil
}

// mask covers a file or directory with an empty one, if it exists: that depends on the
// configuration of the kernel.
func mask(name string) error {
	st, err := os.Stat(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case st.IsDir():
		return mount("tmpfs", name, "tmpfs", unix.MS_RDONLY, "size=0k")
	}
	return mount("/dev/null", name, "", unix.MS_BIND, "")
}

// bindReadonly mounts from on to, read-only, if from exists.
func bindReadonly(from, to string) error {
	tree, err := openTree(from, true)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer tree.Close()
	if err := attach(tree, to); err != nil {
		return err
	}
	return setReadonly(to, true)
}
