package launch

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/userns"
)

// setUp makes the calling process's new namespaces the container.
//
// What comes from the host is opened before the root changes, and mounted when
// the host's tree is gone: then the kernel resolves each mount point, and no
// symbolic link of the rootfs can lead out of it.
func (c *container) setUp() error {
	unix.Umask(0)
	if err := mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		// Where AppArmor guards user namespaces, this is the first thing to fail.
		return userns.Explain(fmt.Errorf("making the mounts private: %w", err))
	}
	binds, err := c.openBinds()
	if err != nil {
		return err
	}
	if err := enterRoot(c.Root.Path); err != nil {
		return fmt.Errorf("rootfs %s: %w", c.Root.Path, err)
	}
	if err := c.mountAll(binds); err != nil {
		return err
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
	unix.Umask(0o022)
	return nil
}

// enterRoot makes rootfs the root directory and detaches the host's tree.
func enterRoot(rootfs string) error {
	host, err := os.Open("/")
	if err != nil {
		return err
	}
	defer host.Close()
	// pivot_root(2) wants a mount point, not just a directory.
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
	// The rootfs need not have a directory for the old root: this mounts it
	// over the new one, from where it goes at once. See pivot_root(2).
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

// loopbackUp switches the loopback interface on.
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
