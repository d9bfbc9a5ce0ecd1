package launch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// mount is mount(2), with an error that names the file system and the mount point.
func mount(source, target, fstype string, flags uintptr, options string) error {
	if err := unix.Mount(source, target, fstype, flags, options); err != nil {
		return fmt.Errorf("mounting %s on %s: %w", fstype, target, err)
	}
	return nil
}

// mountNew mounts a new file system on the directory target, and creates the directory if it
// does not exist.
func mountNew(fstype, target string, flags uintptr, options string) error {
	if err := makeDir(target); err != nil {
		return err
	}
	return mount(fstype, target, fstype, flags, options)
}

// newTree returns a detached mount of a new file system. The attributes are those of
// fsmount(2).
func newTree(fstype string, attributes int) (*os.File, error) {
	context, err := unix.Fsopen(fstype, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("fsopen(%s): %w", fstype, err)
	}
	defer unix.Close(context)
	if err := unix.FsconfigSetString(context, "source", fstype); err != nil {
		return nil, fmt.Errorf("creating a new %s: %w", fstype, err)
	}
	if err := unix.FsconfigCreate(context); err != nil {
		return nil, fmt.Errorf("creating a new %s: %w", fstype, err)
	}
	fd, err := unix.Fsmount(context, unix.FSMOUNT_CLOEXEC, attributes)
	if err != nil {
		return nil, fmt.Errorf("creating a new %s: %w", fstype, err)
	}
	return os.NewFile(uintptr(fd), fstype), nil
}

// openTree returns a detached copy of the mount at name; if recursive, with the mounts below
// it: open_tree(2).
func openTree(name string, recursive bool) (*os.File, error) {
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC)
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	fd, err := unix.OpenTree(unix.AT_FDCWD, name, flags)
	if err != nil {
		return nil, fmt.Errorf("open_tree(%s): %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// attach mounts the detached mount tree on target.
func attach(tree *os.File, target string) error {
	err := unix.MoveMount(int(tree.Fd()), "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_SYMLINKS)
	if err != nil {
		return fmt.Errorf("mounting %s on %s: %w", tree.Name(), target, err)
	}
	return nil
}

// setReadonly makes the mount at target read-only; if recursive, also the mounts below it.
// It changes no other attribute: unlike a remount, mount_setattr(2) keeps those that are
// locked, such as nosuid on a mount of an outer namespace (mount_namespaces(7)).
func setReadonly(target string, recursive bool) error {
	var flags uint
	if recursive {
		flags = unix.AT_RECURSIVE
	}
	err := unix.MountSetattr(unix.AT_FDCWD, target, flags, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
	if err == unix.ENOSYS {
		err = remountReadonly(target, recursive)
	}
	if err != nil {
		return fmt.Errorf("making %s read-only: %w", target, err)
	}
	return nil
}

// remountReadonly is setReadonly before Linux 5.12, which added mount_setattr(2).
func remountReadonly(target string, recursive bool) error {
	target, err := filepath.EvalSymlinks(target)
	if err != nil {
		return err
	}
	mounts := []string{target}
	if recursive {
		below, err := mountinfo.GetMounts(mountinfo.PrefixFilter(target))
		if err != nil {
			return err
		}
		for _, m := range below {
			if m.Mountpoint != target {
				mounts = append(mounts, m.Mountpoint)
			}
		}
	}
	for _, m := range mounts {
		var fs unix.Statfs_t
		if err := unix.Statfs(m, &fs); err != nil {
			return fmt.Errorf("statfs %s: %w", m, err)
		}
		// The numbers of these flags in statfs(2) and mount(2) are the same.
		const kept = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
		flags := uintptr(fs.Flags) & kept
		for status, flag := range map[int64]uintptr{
			unix.ST_NOATIME: unix.MS_NOATIME, unix.ST_NODIRATIME: unix.MS_NODIRATIME, unix.ST_RELATIME: unix.MS_RELATIME,
		} {
			if fs.Flags&status != 0 {
				flags |= flag
			}
		}
		if err := unix.Mount("", m, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|flags, ""); err != nil {
			return fmt.Errorf("remounting %s: %w", m, err)
		}
	}
	return nil
}

// replaceEtc mounts the files of the directory dir over those with the same names in /etc.
// It leaves out those that do not exist there: they would need a mount point, and /etc belongs
// to the host's root.
func replaceEtc(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		target := filepath.Join("/etc", e.Name())
		if _, err := os.Stat(target); errors.Is(err, os.ErrNotExist) {
			continue
		}
		tree, err := openTree(filepath.Join(dir, e.Name()), false)
		if err != nil {
			return err
		}
		err = attach(tree, target)
		tree.Close()
		if err != nil {
			return err
		}
	}
	return nil
}
