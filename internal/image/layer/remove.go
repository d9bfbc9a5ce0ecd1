package layer

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// RemoveAll removes a file or a tree of the caller, with directories of any mode. It is no
// error if there is none, or if others remove it at the same time.
func RemoveAll(name string) error { return RemoveAt(unix.AT_FDCWD, name) }

// RemoveAt is RemoveAll for a name in the directory dir.
func RemoveAt(dir int, name string) error {
	err := removeAt(dir, name)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

func removeAt(dir int, name string) error {
	switch err := unix.Unlinkat(dir, name, 0); err {
	case nil:
		return nil
	case unix.EISDIR:
	default:
		return &os.PathError{Op: "unlink", Path: name, Err: err}
	}
	if unix.Unlinkat(dir, name, unix.AT_REMOVEDIR) == nil {
		return nil
	}
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return &os.PathError{Op: "stat", Path: name, Err: err}
	}
	if st.Mode&0o700 != 0o700 {
		// The object is a directory of the caller, and nobody else makes it another one.
		if err := unix.Fchmodat(dir, name, 0o700, 0); err != nil {
			return &os.PathError{Op: "chmod", Path: name, Err: err}
		}
	}
	fd, err := unix.Openat(dir, name, flags, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: name, Err: err}
	}
	f := os.NewFile(uintptr(fd), name)
	names, err := f.Readdirnames(-1)
	errs := []error{err}
	for _, child := range names {
		if err := RemoveAt(fd, child); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
			break
		}
	}
	errs = append(errs, f.Close())
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := unix.Unlinkat(dir, name, unix.AT_REMOVEDIR); err != nil {
		return &os.PathError{Op: "rmdir", Path: name, Err: err}
	}
	return nil
}
