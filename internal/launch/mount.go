package launch

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// mount is mount(2) with an error that names what was to be mounted where.
func mount(source, target, fstype string, flags uintptr, options string) error {
	if err := unix.Mount(source, target, fstype, flags, options); err != nil {
		return fmt.Errorf("mounting %s on %s: %w", fstype, target, err)
	}
	return nil
}

// mountNew mounts a new file system on the directory target, which it makes if
// it is not there.
func mountNew(fstype, target string, flags uintptr, options string) error {
	if err := makeDir(target); err != nil {
		return err
	}
	return mount(fstype, target, fstype, flags, options)
}

// newTree returns a new file system that is not attached anywhere yet.
func newTree(fstype string, attributes int) (*os.File, error) {
	context, err := unix.Fsopen(fstype, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("fsopen(%s): %w", fstype, err)
	}
	defer unix.Close(context)
	if err := unix.FsconfigSetString(context, "source", fstype); err != nil {
		return nil, fmt.Errorf("making a new %s: %w", fstype, err)
	}
	if err := unix.FsconfigCreate(context); err != nil {
		return nil, fmt.Errorf("making a new %s: %w", fstype, err)
	}
	fd, err := unix.Fsmount(context, unix.FSMOUNT_CLOEXEC, attributes)
	if err != nil {
		return nil, fmt.Errorf("making a new %s: %w", fstype, err)
	}
	return os.NewFile(uintptr(fd), fstype), nil
}

// openTree returns a copy of the mount at name that is not attached anywhere
// yet, with the mounts below it if all is set.
func openTree(name string, all bool) (*os.File, error) {
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC)
	if all {
		flags |= unix.AT_RECURSIVE
	}
	fd, err := unix.OpenTree(unix.AT_FDCWD, name, flags)
	if err != nil {
		return nil, fmt.Errorf("open_tree(%s): %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// attach mounts a tree on target.
func attach(tree *os.File, target string) error {
	err := unix.MoveMount(int(tree.Fd()), "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_SYMLINKS)
	if err != nil {
		return fmt.Errorf("mounting %s on %s: %w", tree.Name(), target, err)
	}
	return nil
}

// setReadonly makes the mount at target read-only, with the mounts below it if
// all is set. It changes nothing else: flags such as nosuid that a mount of an
// outer namespace has are locked, and naming them again is not needed here.
func setReadonly(target string, all bool) error {
	var flags uint
	if all {
		flags = unix.AT_RECURSIVE
	}
	err := unix.MountSetattr(unix.AT_FDCWD, target, flags, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
	if err == unix.ENOSYS {
		return fmt.Errorf("making %s read-only: mount_setattr: %w (Linux 5.12 or later is needed)", target, err)
	}
	if err != nil {
		return fmt.Errorf("making %s read-only: %w", target, err)
	}
	return nil
}
