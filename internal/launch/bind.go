package launch

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/userns"
)

// bind is a detached mount that is to be attached in the container: a bind mount of the
// host, a file of the container's own, or a new file system that the kernel creates only
// while the host's instance is visible (proc, sysfs).
type bind struct {
	tree     *os.File // the detached mount: open_tree(2), fsmount(2)
	target   string   // the absolute path of the mount point in the container
	dir      bool     // the mount point is a directory
	readonly bool     // make the mount read-only after attaching it
}

// binds are the detached mounts of a container.
type binds struct {
	proc    *bind
	sys     *bind
	devices []*bind
	network []*bind // the container's own hostsFile and resolverFile
	volumes []*bind // and devices of the user, and those of Mount
	cgroup2 bool    // /sys/fs/cgroup of the host is a cgroup2 file system
}

// openBinds opens what the container needs of the host.
func (c *container) openBinds() (*binds, error) {
	b := new(binds)
	var err error
	if b.proc, err = newProc(); err != nil {
		return nil, err
	}
	if b.sys, err = c.openSys(); err != nil {
		return nil, err
	}
	if b.devices, err = openDevices(); err != nil {
		return nil, err
	}
	for _, d := range c.Devices {
		device, err := openBind(d.Source, d.Destination, false)
		if err != nil {
			return nil, fmt.Errorf("device %s: %w", d.Source, err)
		}
		b.volumes = append(b.volumes, device)
	}
	var fs unix.Statfs_t
	b.cgroup2 = unix.Statfs("/sys/fs/cgroup", &fs) == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC
	if b.network, err = c.openNetworkFiles(); err != nil {
		return nil, err
	}
	for _, v := range c.Mounts {
		volume, err := openBind(v.Source, v.Destination, v.Readonly)
		if err != nil {
			return nil, fmt.Errorf("volume %s:%s: %w", v.Source, v.Destination, err)
		}
		b.volumes = append(b.volumes, volume)
	}
	for i := range c.Extra {
		m := &c.Extra[i]
		extra, err := m.open(c.Root.Path)
		if err != nil {
			return nil, fmt.Errorf("mount on %s: %w", m.Target, err)
		}
		b.volumes = append(b.volumes, extra)
	}
	// Parent directories first: otherwise, they would cover the others.
	slices.SortStableFunc(b.volumes, func(a, b *bind) int {
		return cmp.Compare(strings.Count(a.target, "/"), strings.Count(b.target, "/"))
	})
	return b, nil
}

// hardened are the mount attributes of file systems that hold neither programs nor device
// nodes.
const hardened = unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC

func newProc() (*bind, error) {
	tree, err := newTree("proc", hardened)
	if err != nil {
		return nil, userns.ExplainProc(err)
	}
	return &bind{tree: tree, target: "/proc", dir: true}, nil
}

// openSys returns the mount for /sys. A new sysfs shows the devices of a network namespace:
// the kernel lets only the owner of that namespace mount it, and only if the host's sysfs is
// fully visible. Otherwise, the container gets the host's, read-only.
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

// attach mounts b on its target, which it creates if it does not exist, and closes the tree.
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
