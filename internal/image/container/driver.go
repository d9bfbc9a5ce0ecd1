package container

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/image/layer"
	"github.com/rootless-containers/subuidless/internal/image/store"
	"github.com/rootless-containers/subuidless/internal/image/storedir"
	"github.com/rootless-containers/subuidless/internal/image/unpack"
	"github.com/rootless-containers/subuidless/internal/isolation"
)

// Driver is how the root file system of a container is made of layers.
type Driver string

const (
	DriverOverlay Driver = "overlay" // a mount of overlayfs
	DriverCopy    Driver = "copy"    // a copy, of reflinks where the file system has them
)

// ParseDriver returns the driver that text names; empty means the best one. It also knows the
// names that podman has for them.
func ParseDriver(text string) (Driver, error) {
	switch text {
	case "overlay":
		if isolation.Current() == isolation.Chroot {
			return "", fmt.Errorf("storage driver overlay %w", isolation.ErrNeedsNamespaces)
		}
		return DriverOverlay, nil
	case "":
		return "", nil
	case "copy", "vfs":
		return DriverCopy, nil
	}
	return "", fmt.Errorf("storage driver %q: must be %s or %s", text, DriverOverlay, DriverCopy)
}

// probed is what the file driver of a store says about an earlier probe.
type probed struct {
	Driver Driver
	Boot   string // boot id of the kernel that was asked
	Reason string `json:",omitempty"` // why it is not DriverOverlay
}

// BestDriver returns DriverOverlay if the kernel and the file system of the store support it.
// It asks them once per boot.
func BestDriver(s *store.Store, use store.Lock) (Driver, error) {
	if isolation.Current() == isolation.Chroot {
		return DriverCopy, nil
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	p := probed{Boot: strings.TrimSpace(string(boot))}
	name := filepath.Join(s.Dir, "driver")
	if b, err := os.ReadFile(name); err == nil {
		var old probed
		if json.Unmarshal(b, &old) == nil && old.Boot == p.Boot {
			return old.Driver, nil
		}
	}
	p.Driver = DriverOverlay
	if err := probe(s, use); err != nil {
		p.Driver, p.Reason = DriverCopy, err.Error()
	}
	b, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	return p.Driver, storedir.WriteFile(name, append(b, '\n'))
}

func probe(s *store.Store, use store.Lock) (err error) {
	dir, err := os.MkdirTemp(s.TempDir(), "probe-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, layer.RemoveAll(dir)) }()
	p, err := unpack.Start(s, use, false)
	if err != nil {
		return err
	}
	err = p.Probe(dir)
	return errors.Join(err, p.Close())
}

// CopyRootAttributes gives the directory upper, which becomes the root of the container, the
// attributes of the root of the image.
func CopyRootAttributes(lower, upper string) error {
	var st unix.Stat_t
	if err := unix.Stat(lower, &st); err != nil {
		return fmt.Errorf("the root of the image: %w", err)
	}
	if err := unix.Chmod(upper, st.Mode&0o7777); err != nil {
		return fmt.Errorf("the root of the container: %w", err)
	}
	names := make([]byte, 64<<10)
	n, err := unix.Listxattr(lower, names)
	if err != nil && err != unix.EOPNOTSUPP {
		return fmt.Errorf("the root of the image: %w", err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names[:max(n, 0)]), "\x00"), "\x00") {
		if name == "" || layer.IsMark(name) || strings.HasPrefix(name, "security.") {
			continue
		}
		value := make([]byte, 64<<10)
		n, err := unix.Getxattr(lower, name, value)
		if err == nil {
			err = unix.Setxattr(upper, name, value[:n], 0)
		}
		if err != nil {
			return fmt.Errorf("the attribute %s of the root of the image: %w", name, err)
		}
	}
	return nil
}
