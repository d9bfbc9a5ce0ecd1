package launch

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// bind is a tree of files that is ready to be mounted: one of the host's, or a
// new one that the kernel makes only while the host's is visible.
type bind struct {
	tree     *os.File
	target   string
	dir      bool
	readonly bool
}

// binds are all of a container.
type binds struct {
	proc    *bind
	sys     *bind
	devices []*bind
	network []*bind // files that say how the host's network is used
	volumes []*bind
	cgroup2 bool // the host's /sys/fs/cgroup is the unified hierarchy
}

// openBinds opens what c needs of the host.
func (c *container) openBinds() (*binds, error) {
	b := new(binds)
	var err error
	if b.proc, err = newProc(); err != nil {
		return nil, err
	}
	if b.sys, err = c.openSys(); err != nil {
		return nil, err
	}
	for _, dev := range devices {
		node, err := openBind(dev, dev, false)
		if err != nil {
			return nil, err
		}
		b.devices = append(b.devices, node)
	}
	var fs unix.Statfs_t
	b.cgroup2 = unix.Statfs("/sys/fs/cgroup", &fs) == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC
	if c.Net == NetHost {
		for _, name := range []string{"/etc/resolv.conf", "/etc/hosts"} {
			file, err := openBind(name, name, true)
			if errors.Is(err, unix.ENOENT) {
				continue // the host does without
			}
			if err != nil {
				return nil, err
			}
			b.network = append(b.network, file)
		}
	}
	for _, v := range c.Mounts {
		volume, err := openBind(v.Source, v.Destination, v.Readonly)
		if err != nil {
			return nil, fmt.Errorf("volume %s:%s: %w", v.Source, v.Destination, err)
		}
		b.volumes = append(b.volumes, volume)
	}
	return b, nil
}

// hardened are the mount attributes of file systems with neither programs nor
// devices.
const hardened = unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC

func newProc() (*bind, error) {
	tree, err := newTree("proc", hardened)
	if errors.Is(err, unix.EPERM) {
		return nil, fmt.Errorf("%w: the kernel allows a new /proc only where the present one is wholly visible, and here parts of it are covered, as an outer container does; start that one with --security-opt unmask=ALL (podman), --security-opt systempaths=unconfined (docker) or procMount: Unmasked (kubernetes)", err)
	}
	if err != nil {
		return nil, err
	}
	return &bind{tree: tree, target: "/proc", dir: true}, nil
}

// openSys opens /sys, which shows the devices of a network namespace. So only
// with a network namespace of its own may a container have a new one, and even
// then only where the host's is wholly visible. Else it is the host's.
func (c *container) openSys() (*bind, error) {
	if c.Net == NetNone {
		tree, err := newTree("sysfs", hardened|unix.MOUNT_ATTR_RDONLY)
		if err == nil {
			return &bind{tree: tree, target: "/sys", dir: true}, nil
		}
		if !errors.Is(err, unix.EPERM) {
			return nil, err
		}
	}
	return openBind("/sys", "/sys", true)
}

func openBind(source, target string, readonly bool) (*bind, error) {
	tree, err := openTree(source, true)
	if err != nil {
		return nil, err
	}
	st, err := tree.Stat()
	if err != nil {
		return nil, errors.Join(err, tree.Close())
	}
	return &bind{tree: tree, target: target, dir: st.IsDir(), readonly: readonly}, nil
}

// attach mounts b, and makes the mount point if it is not there.
func (b *bind) attach() error {
	defer b.tree.Close()
	if err := makeMountPoint(b.target, b.dir); err != nil {
		return err
	}
	if err := attach(b.tree, b.target); err != nil {
		return err
	}
	if b.readonly {
		return setReadonly(b.target, true)
	}
	return nil
}

func attachAll(list []*bind) error {
	for _, b := range list {
		if err := b.attach(); err != nil {
			return err
		}
	}
	return nil
}
