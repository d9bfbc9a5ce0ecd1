package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
)

// probeXattr is the attribute that the checks set on temporary files.
const probeXattr = "user.subuidless.doctor"

// workDirectory checks whether files in m.Dir can carry records in extended attributes.
func workDirectory(m *Machine) (string, error) {
	fsType := fileSystem(m.Dir)
	if isReadOnly(m.Dir) {
		return fmt.Sprintf("%s is on %s, which is read-only", m.Dir, fsType), nil
	}
	switch err := tryXattr(m.Dir); {
	case err == nil:
		return fmt.Sprintf("%s is on %s", m.Dir, fsType), nil
	case transientRemedy(err) != "":
		return "", transient{fmt.Errorf("%s is on %s: %w", m.Dir, fsType, err)}
	case errors.Is(err, unix.ENOTSUP):
		return "", fmt.Errorf("%s is on %s, which does not support user.* extended attributes here", m.Dir, fsType)
	default:
		return "", fmt.Errorf("%s is on %s: %w", m.Dir, fsType, err)
	}
}

// transient is an error that may pass: it does not mean that the feature is missing.
type transient struct{ error }

// transientRemedy returns what to do about a transient error, which says nothing about the file system's
// attributes, or an empty string.
func transientRemedy(err error) string {
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return "remove files, or ask for a larger disk or quota"
	case errors.Is(err, unix.EROFS):
		return "mount the file system so that it can be written to"
	case errors.Is(err, unix.EIO), errors.Is(err, unix.ESTALE):
		return "mount the file system again, and see what its server or the kernel has logged"
	}
	return ""
}

// isReadOnly reports whether the file system of dir is mounted read-only.
func isReadOnly(dir string) bool {
	var st unix.Statfs_t
	return unix.Statfs(dir, &st) == nil && st.Flags&unix.ST_RDONLY != 0
}

// recordsHere says what becomes of owners of files in m.Dir.
func recordsHere(m *Machine) (string, error) {
	if isReadOnly(m.Dir) {
		return "recorded owners are shown, and chown fails with EROFS; as the lower layer of an overlay, they can change", nil
	}
	var lines []string
	var create *fs.PathError
	switch err := tryXattr(m.Dir); {
	case err == nil:
		lines = append(lines, "owners of files and directories stay with them: through renames, remounts and reboots, and on other machines")
	case transientRemedy(err) != "":
		return fmt.Sprintf("chown fails here as this did: %v\n%s", err, transientRemedy(err)), nil
	case errors.As(err, &create):
		return fmt.Sprintf("unknown, because no file can be created here: %v\nname a directory that you can write to", create.Err), nil
	default:
		lines = append(lines, "owners are in the sidecar only: machines that share the directory see them if they share the sidecar, too")
	}
	switch lasting, err := owner.HowLong(m.Dir); {
	case err != nil:
		return "", err
	case lasting == owner.UntilUnmount:
		lines = append(lines, "what is in the sidecar is lost when this file system is unmounted: use another directory for what must last")
	case lasting == owner.UntilReboot:
		lines = append(lines, "what is in the sidecar is lost at the next reboot: use another directory for what must last")
	case lasting == owner.UntilEnd:
		lines = append(lines, "what is in the sidecar is lost when the container ends: mount fusectl on /sys/fs/fuse/connections, or use another directory")
	}
	return strings.Join(lines, "\n"), nil
}

// sidecarDirectory checks the default sidecar directory. If it does not exist, it checks the
// nearest parent that does, because the checks must leave nothing behind.
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
		return "", fmt.Errorf("%s cannot be used: %w\nset SUBUIDLESS_SIDECAR to a directory that you can write to, or use --sidecar", sidecar, err)
	}
	if !owner.IsLocal(dir) {
		return fmt.Sprintf("%s is on %s; if no other machine needs these records, a local disk is faster: set SUBUIDLESS_SIDECAR, or write the directory to /etc/subuidless/sidecar", sidecar, fileSystem(dir)), nil
	}
	return sidecar, nil
}

// tryEntry creates an entry like those of the sidecar, in a temporary directory in dir.
func tryEntry(dir string) error {
	tmp, err := os.MkdirTemp(dir, ".subuidless-doctor-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	return os.Symlink("0:0", filepath.Join(tmp, "entry"))
}

// errDropped means that a file has no extended attribute after one has been set.
var errDropped = errors.New("it accepts extended attributes and drops them")

// tryXattr sets, reads and removes an extended attribute on a temporary file in dir.
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
	var value [2]byte
	switch n, err := unix.Fgetxattr(int(f.Fd()), probeXattr, value[:]); {
	case errors.Is(err, unix.ENODATA), errors.Is(err, unix.ENOTSUP), err == nil && n != 1:
		return errDropped
	case err != nil:
		return fmt.Errorf("reading an extended attribute: %w", err)
	}
	if err := unix.Fremovexattr(int(f.Fd()), probeXattr); err != nil {
		return fmt.Errorf("removing an extended attribute: %w", err)
	}
	return nil
}

// tmpfsXattr checks a memfd, which is a file on a tmpfs that the kernel mounts internally.
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

// fileSystem returns the type of the file system that path is on, as mount(8) shows it.
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
