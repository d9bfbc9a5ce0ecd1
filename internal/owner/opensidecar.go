package owner

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// bootPrefix comes before the boot id in the name of the directory of volatile entries.
const bootPrefix = "boot-"

// nodeFile is the name of a file in that directory which says what machine the boot is one of.
const nodeFile = "node"

// OpenSidecar opens the sidecar in the directory dir, and creates dir if it does not exist. The
// first process to open it after a reboot removes the volatile entries of earlier boots of the
// same machine: others may share dir. The entries of a dir on a read-only file system can be
// read. A Sidecar is never closed: it lives as long as its process.
func OpenSidecar(dir string) (*Sidecar, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	fuseConnections()
	s := &Sidecar{volatile: -1}
	if s.dir, err = unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return nil, &os.PathError{Op: "open", Path: dir, Err: err}
	}
	switch volatile, err := openBoot(dir, bootPrefix+strings.TrimSpace(string(boot))); {
	case err == nil:
		s.volatile = volatile
	case errors.Is(err, unix.EROFS), errors.Is(err, unix.EACCES):
		s.hints = newHints(false)
		return s, nil
	default:
		unix.Close(s.dir)
		return nil, err
	}
	var fresh bool
	if s.hints, fresh = openHints(s.volatile); fresh || !IsLocal(dir) {
		return s, errors.Join(importUsed(dir), s.Settle())
	}
	return s, nil
}

// openBoot opens the directory name, for this boot, in the sidecar dir, and creates it if it does
// not exist.
func openBoot(dir, name string) (fd int, err error) {
	path := filepath.Join(dir, name)
	switch err := os.Mkdir(path, 0o700); {
	case err == nil: // this process is the first one since the reboot
		node := thisNode()
		if err := os.WriteFile(filepath.Join(path, nodeFile), []byte(node), 0o600); err != nil {
			return -1, err
		}
		if err := removeOtherBoots(dir, name, node); err != nil {
			return -1, err
		}
	case !errors.Is(err, os.ErrExist):
		return -1, err
	}
	fd, err = unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return fd, nil
}

// ReadOnly reports whether records can be read from the sidecar only.
func (s *Sidecar) ReadOnly() bool {
	return unix.Faccessat(s.dir, ".", unix.W_OK, unix.AT_EACCESS) != nil
}

// thisNode returns what tells this machine from others that share a sidecar. Neither of the two
// is enough: nodes of a cluster may be copies of one image, and names change.
func thisNode() string {
	id, _ := os.ReadFile("/etc/machine-id")
	name, _ := os.Hostname()
	return strings.TrimSpace(string(id)) + " " + name + "\n"
}

// nodeOf returns what is in the nodeFile of a directory of volatile entries. It is "" for those
// of earlier versions.
func nodeOf(dir string) string {
	node, _ := os.ReadFile(filepath.Join(dir, nodeFile))
	return string(node)
}

// removeOtherBoots removes the directories of volatile entries in dir that are not current and
// whose nodeOf is node.
func removeOtherBoots(dir, current, node string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	for {
		names, err := d.Readdirnames(1024) // there may be many entries
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		for _, name := range names {
			path := filepath.Join(dir, name)
			if !strings.HasPrefix(name, bootPrefix) || name == current || nodeOf(path) != node {
				continue
			}
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
	}
}

// IsLocal reports whether only this machine changes the file system that path is on. Others than
// those that are known to be local may be shared.
func IsLocal(path string) bool {
	var st unix.Statfs_t
	if unix.Statfs(path, &st) != nil {
		return false
	}
	switch int64(st.Type) {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC,
		unix.TMPFS_MAGIC, unix.OVERLAYFS_SUPER_MAGIC, zfsMagic:
		return true
	}
	return false
}

// zfsMagic is ZFS_SUPER_MAGIC of OpenZFS.
const zfsMagic = 0x2fc12fc1
