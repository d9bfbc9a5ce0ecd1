package launch

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/userns"
)

// setUp sets up the container in the new namespaces of the calling process.
//
// It opens what comes from the host before it changes the root directory, and mounts it
// after it has detached the host's tree. So the kernel resolves each mount point within the
// rootfs, and no symbolic link can lead out of it.
func (c *container) setUp() error {
	if c.Chroot {
		return c.setUpChroot()
	}
	unix.Umask(0)
	if err := mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		// The first operation that fails if AppArmor restricts user namespaces.
		return userns.Explain(fmt.Errorf("making the mounts private: %w", err))
	}
	binds, err := c.openBinds()
	if err != nil {
		return err
	}
	if err := c.Root.Overlay.On(c.Root.Path); err != nil {
		return err
	}
	if err := enterRoot(c.Root.Path); err != nil {
		return fmt.Errorf("rootfs %s: %w", c.Root.Path, err)
	}
	if err := c.mountAll(binds); err != nil {
		return err
	}
	for _, dir := range c.Dirs {
		// A rootfs in which the user cannot create directories is used as it is.
		if err := os.MkdirAll(dir, 0o755); err != nil && !isUnwritable(err) {
			return fmt.Errorf("creating the directory %s in the rootfs: %w", dir, errnoOf(err))
		}
	}
	if c.Root.Readonly {
		if err := setReadonly("/", false); err != nil {
			return err
		}
	}
	if c.Hostname != "" {
		if err := unix.Sethostname([]byte(c.Hostname)); err != nil {
			return fmt.Errorf("hostname %s: %w", c.Hostname, err)
		}
	}
	if c.Net == NetNone {
		if err := loopbackUp(); err != nil {
			return err
		}
	}
	unix.Umask(c.Umask)
	return nil
}

// enterRoot makes rootfs the root directory, and detaches the host's tree.
func enterRoot(rootfs string) error {
	host, err := os.Open("/")
	if err != nil {
		return err
	}
	defer host.Close()
	// pivot_root(2) requires a mount point.
	tree, err := openTree(rootfs, true)
	if err != nil {
		return err
	}
	defer tree.Close()
	if err := attach(tree, rootfs); err != nil {
		return err
	}
	if err := unix.Fchdir(int(tree.Fd())); err != nil {
		return fmt.Errorf("fchdir: %w", err)
	}
	// With ".", the rootfs needs no directory for the old root: pivot_root(2) mounts the
	// old root over the new one, and the unmount below removes it.
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Fchdir(int(host.Fd())); err != nil {
		return fmt.Errorf("fchdir to the host's root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("detaching the host's root: %w", err)
	}
	return os.Chdir("/")
}

// loopbackUp brings the loopback interface up.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("loopback interface: socket: %w", err)
	}
	defer unix.Close(fd)
	ifreq, err := unix.NewIfreq("lo")
	if err != nil {
		return fmt.Errorf("loopback interface: %w", err)
	}
	ifreq.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifreq); err != nil {
		return fmt.Errorf("loopback interface: ioctl(SIOCSIFFLAGS): %w", err)
	}
	return nil
}
