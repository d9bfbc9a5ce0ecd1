package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
)

// probeXattr is set on files made for the purpose, and removed with them.
const probeXattr = "user.subuidless.doctor"

// workDirectory tells whether files in the directory asked about can carry
// their owner themselves.
func workDirectory(m *Machine) (string, error) {
	fsType := fileSystem(m.Dir)
	switch err := tryXattr(m.Dir); {
	case err == nil:
		return fmt.Sprintf("%s is on %s", m.Dir, fsType), nil
	case errors.Is(err, unix.ENOTSUP):
		return "", fmt.Errorf("%s is on %s, which has no user.* extended attributes here", m.Dir, fsType)
	default:
		return "", fmt.Errorf("%s is on %s: %w", m.Dir, fsType, err)
	}
}

// sidecarDirectory tests the sidecar's directory, or the nearest one above it
// that exists: doctor leaves nothing behind.
func sidecarDirectory(*Machine) (string, error) {
	sidecar, err := owner.DefaultSidecar()
	if err != nil {
		return "", err
	}
	dir := sidecar
	for dir != filepath.Dir(dir) {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		dir = filepath.Dir(dir)
	}
	if err := tryEntry(dir); err != nil {
		return "", fmt.Errorf("%s cannot be used: %w\nset XDG_STATE_HOME to a directory of yours", sidecar, err)
	}
	return sidecar, nil
}

// tryEntry makes a temporary directory in dir, and an entry in it like the sidecar's.
func tryEntry(dir string) error {
	tmp, err := os.MkdirTemp(dir, ".subuidless-doctor-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	return os.Symlink("0:0", filepath.Join(tmp, "entry"))
}

// tryXattr sets an extended attribute on a temporary file in dir.
func tryXattr(dir string) error {
	f, err := os.CreateTemp(dir, ".subuidless-doctor-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if err := unix.Fsetxattr(int(f.Fd()), probeXattr, []byte{1}, 0); err != nil {
		return fmt.Errorf("setting an extended attribute: %w", err)
	}
	if err := unix.Fremovexattr(int(f.Fd()), probeXattr); err != nil {
		return fmt.Errorf("removing an extended attribute: %w", err)
	}
	return nil
}

// tmpfsXattr uses a memfd: a file of a tmpfs that the kernel itself has mounted.
func tmpfsXattr(*Machine) (string, error) {
	fd, err := unix.MemfdCreate("subuidless-doctor", unix.MFD_CLOEXEC)
	if err != nil {
		return "", fmt.Errorf("memfd_create: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Fsetxattr(fd, probeXattr, []byte{1}, 0); err != nil {
		return "", fmt.Errorf("setting an extended attribute: %w", err)
	}
	return "", nil
}

// fileSystem names the type of the file system that path is on, as mount(8) does.
func fileSystem(path string) string {
	const unknown = "an unknown file system"
	var stat unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_MNT_ID, &stat); err != nil {
		return unknown
	}
	mounts, err := mountinfo.GetMounts(func(i *mountinfo.Info) (skip, stop bool) {
		found := uint64(i.ID) == stat.Mnt_id
		return !found, found
	})
	if err != nil || len(mounts) == 0 {
		return unknown
	}
	return mounts[0].FSType
}
