package launch

import (
	"errors"
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// makeMountPoint makes target an empty directory or file, like what is to be
// mounted there, unless it is there already.
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

// maxSymlinks is how many symbolic links the kernel follows in a path.
const maxSymlinks = 40

// makeFile makes an empty file. A symbolic link to nowhere, as many systems
// have for /etc/resolv.conf, is filled at its end.
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
	if err != nil {
		return mountPointError(name, err)
	}
	return f.Close()
}

func mountPointError(name string, err error) error {
	err = errnoOf(err)
	if errors.Is(err, unix.EROFS) || errors.Is(err, unix.EACCES) {
		return fmt.Errorf("making the mount point %s in the rootfs: %w (make it yourself where the rootfs can be written)", name, err)
	}
	return fmt.Errorf("making the mount point %s in the rootfs: %w", name, err)
}
