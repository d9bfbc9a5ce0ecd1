package launch

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// bind is a file or directory of the host, ready to be mounted.
type bind struct {
	tree     *os.File
	target   string
	dir      bool
	readonly bool
}

// binds are all of a container.
type binds struct {
	devices []*bind
	sys     *bind
	network []*bind // files that say how the host's network is used
	volumes []*bind
	cgroup2 bool // the host's /sys/fs/cgroup is the unified hierarchy
}

// openBinds opens what c needs of the host.
func (c *container) openBinds() (*binds, error) {
	b := new(binds)
	for _, dev := range devices {
		node, err := openBind(dev, dev, false)
		if err != nil {
			return nil, err
		}
		b.devices = append(b.devices, node)
	}
	var err error
	if b.sys, err = openBind("/sys", "/sys", true); err != nil {
		return nil, err
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
