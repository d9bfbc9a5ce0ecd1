package launch

import (
	"errors"
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// makeMountPoint creates target as a mount point, unless it exists: an empty directory, or an
// empty file if dir is false.
func makeMountPoint(target string, dir bool) error {
	if dir {
		return makeDir(target)
	}
	return makeFile(target)
}

func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return mountPointError(dir, err)
	}
	return nil
}

// maxSymlinks is the number of symbolic links that the kernel follows in a path before it
// returns ELOOP: path_resolution(7).
const maxSymlinks = 40

// makeFile creates an empty file, unless target exists. If target is a dangling symbolic
// link, as /etc/resolv.conf is on many systems, it creates the file that the link points to.
func makeFile(target string) error {
	name := target
	for range maxSymlinks {
		if _, err := os.Stat(name); err == nil {
			return nil
		}
		link, err := os.Readlink(name)
		if err != nil {
			return createEmpty(name)
		}
		if !path.IsAbs(link) {
			link = path.Join(path.Dir(name), link)
		}
		name = link
	}
	return mountPointError(target, unix.ELOOP)
}

func createEmpty(name string) error {
	if err := makeDir(path.Dir(name)); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, unix.EEXIST) {
		return nil // another container of the rootfs has just created it
	}
	if err != nil {
		return mountPointError(name, err)
	}
	return f.Close()
}

func mountPointError(name string, err error) error {
	err = errnoOf(err)
	if isUnwritable(err) {
		return fmt.Errorf("creating the mount point %s in the rootfs: %w (create it yourself while the rootfs is writable)", name, err)
	}
	return fmt.Errorf("creating the mount point %s in the rootfs: %w", name, err)
}

// isUnwritable reports whether err means that the user cannot create files in a rootfs.
func isUnwritable(err error) bool { return errors.Is(err, unix.EROFS) || errors.Is(err, unix.EACCES) }
