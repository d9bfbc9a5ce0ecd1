package launch

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// devices are the device nodes that every container has. They are bind mounts of the host's,
// because the kernel does not let a user namespace create device nodes.
var devices = []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"}

// optionalDevices are the device nodes that a container has, too, if the host lets the user
// open them.
var optionalDevices = []string{"/dev/fuse", "/dev/net/tun"}

// deviceLinks are the targets and names of the symbolic links in /dev.
var deviceLinks = [][2]string{
	{"/proc/self/fd", "/dev/fd"},
	{"/proc/self/fd/0", "/dev/stdin"},
	{"/proc/self/fd/1", "/dev/stdout"},
	{"/proc/self/fd/2", "/dev/stderr"},
}

// openDevices returns the mounts of the container's device nodes.
func openDevices() ([]*bind, error) {
	names := devices
	for _, dev := range optionalDevices {
		if unix.Faccessat(unix.AT_FDCWD, dev, unix.R_OK|unix.W_OK, unix.AT_EACCESS) == nil {
			names = append(names[:len(names):len(names)], dev)
		}
	}
	var nodes []*bind
	for _, dev := range names {
		node, err := openBind(dev, dev, false)
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, node)
	}
	return nodes, nil
}

// mountDev mounts /dev, with nodes as its device nodes. See RunOptions.ShmSize for shmSize.
func mountDev(nodes []*bind, shmSize int64) error {
	if err := mountNew("tmpfs", "/dev", unix.MS_NOSUID|unix.MS_STRICTATIME, "mode=755"); err != nil {
		return err
	}
	if err := attachAll(nodes); err != nil {
		return err
	}
	// Without gid=5 (tty), which OCI runtimes set here: that id is not mapped.
	if err := mountNew("devpts", "/dev/pts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620"); err != nil {
		return err
	}
	const data = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	shm := "mode=1777"
	if shmSize > 0 {
		shm += ",size=" + strconv.FormatInt(shmSize, 10)
	}
	if err := mountNew("tmpfs", "/dev/shm", data, shm); err != nil {
		return err
	}
	if err := mountNew("mqueue", "/dev/mqueue", data, ""); err != nil {
		return err
	}
	for _, link := range append(deviceLinks[:len(deviceLinks):len(deviceLinks)], [2]string{"pts/ptmx", "/dev/ptmx"}) {
		if err := os.Symlink(link[0], link[1]); err != nil {
			return err
		}
	}
	return nil
}

// bindConsole mounts the terminal at the path name on /dev/console.
func bindConsole(name string) error {
	if err := makeMountPoint("/dev/console", false); err != nil {
		return err
	}
	if err := unix.Mount(name, "/dev/console", "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mounting %s on /dev/console: %w", name, err)
	}
	return nil
}
