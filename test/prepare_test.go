package test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/test/disk"
)

// unifiedCgroup is the mount point of cgroup version 2 in hybrid mode. crun 1.8
// detects hybrid mode by it.
const unifiedCgroup = "/sys/fs/cgroup/unified"

// makePrivate mounts the work directory in this process's own mount namespace. It is
// a tmpfs: fast, and gone with the namespace.
func makePrivate(work string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making the mounts private: %w", err)
	}
	if err := unix.Mount("tmpfs", work, "tmpfs", 0, "mode=0755"); err != nil {
		return fmt.Errorf("mounting a tmpfs: %w", err)
	}
	if _, err := os.Stat(unifiedCgroup); err == nil {
		if err := unix.Mount("tmpfs", unifiedCgroup, "tmpfs", 0, ""); err != nil {
			return fmt.Errorf("hiding %s: %w", unifiedCgroup, err)
		}
	}
	return openDevices(work)
}

// openDevices lets every user open those devices that many hosts reserve for root, if the
// kernel has them.
func openDevices(work string) error {
	for name, device := range map[string]uint64{"/dev/fuse": unix.Mkdev(10, 229), "/dev/net/tun": unix.Mkdev(10, 200)} {
		if unix.Access(name, unix.F_OK) != nil {
			continue
		}
		node := filepath.Join(work, filepath.Base(name))
		if err := unix.Mknod(node, unix.S_IFCHR, int(device)); err != nil {
			return fmt.Errorf("creating %s: %w", node, err)
		}
		if err := unix.Chmod(node, 0o666); err != nil {
			return err
		}
		if err := unix.Mount(node, name, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mounting %s: %w", name, err)
		}
	}
	return nil
}

// mountOdd mounts file systems with limits that the work directory's does not have,
// and gives them to the user.
func mountOdd(work string, user int) error {
	for _, fs := range []struct{ name, kind, options string }{
		{"small", "tmpfs", "nr_inodes=8"}, // tmpfs counts attributes as inodes
		{"ramfs", "ramfs", ""},            // has no extended attributes
	} {
		dir := filepath.Join(work, fs.name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(fs.kind, dir, fs.kind, 0, fs.options); err != nil {
			return fmt.Errorf("mounting %s: %w", fs.name, err)
		}
		if err := os.Chown(dir, user, user); err != nil {
			return err
		}
	}
	return nil
}

// mountDisks mounts new file systems of kinds that keep records on disk, and gives them to the
// user. It leaves out those that this machine lacks.
func mountDisks(work string, user int) {
	for _, kind := range []string{"btrfs", "xfs"} {
		if err := mountDisk(filepath.Join(work, kind), kind, user); err != nil {
			fmt.Fprintf(os.Stderr, "no %s: %v\n", kind, err)
		}
	}
}

// mountDisk mounts a new file system at dir.
func mountDisk(dir, kind string, user int) error {
	mount := dir + ".mount"
	if err := os.Mkdir(mount, 0o755); err != nil {
		return err
	}
	if err := disk.Mount(kind, dir+".img", mount); err != nil {
		return err
	}
	if err := os.Chown(mount, user, user); err != nil {
		return err
	}
	return os.Symlink(mount, dir) // now it exists
}

func unmountAll(work string) {
	if err := unix.Unmount(work, unix.MNT_DETACH); err != nil {
		fmt.Fprintln(os.Stderr, "unmounting the work directory:", err)
	}
}

// populate fills the work directory with everything that the tests use, because
// their user may be unable to search the directories above the repository.
func populate(work string, user int) error {
	if err := os.Chmod(work, 0o755); err != nil {
		return err
	}
	for name, mode := range map[string]fs.FileMode{"home": 0o700, "tmp": 0o755, "run": 0o700, "state": 0o700, "bootstrap": 0o755} {
		dir := filepath.Join(work, name)
		if err := os.Mkdir(dir, mode); err != nil {
			return err
		}
		if err := os.Chown(dir, user, user); err != nil {
			return err
		}
	}
	if err := os.CopyFS(filepath.Join(work, "testdata"), os.DirFS("testdata")); err != nil {
		return err
	}
	if err := os.CopyFS(filepath.Join(work, "docs"), os.DirFS(filepath.Join("..", "docs"))); err != nil {
		return err
	}
	for _, name := range []string{"debian12.tar", servicesTar, suitesTar, engines13, "repository", "servers", "programs"} {
		if err := linkCache(work, name); err != nil {
			return err
		}
	}
	if err := build(work); err != nil {
		return err
	}
	// The same one in the images of all tests, wherever they run.
	if busybox, err := exec.LookPath("busybox"); err == nil {
		return copyFile(filepath.Join(work, "bin", "busybox"), busybox)
	}
	return nil
}

// cacheDir returns the directory in which test/prepare stores what it builds.
func cacheDir() (string, error) {
	if cache := os.Getenv("SUBUIDLESS_CACHE"); cache != "" {
		return cache, nil
	}
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "subuidless-test"), err
}

// linkCache makes a file or directory of the cache, if it exists, readable in the
// work directory under the same name.
func linkCache(work, name string) error {
	cache, err := cacheDir()
	if err != nil {
		return err
	}
	cached, link := filepath.Join(cache, name), filepath.Join(work, name)
	info, err := os.Stat(cached)
	if err != nil {
		return nil
	}
	if os.Getuid() != 0 {
		return os.Symlink(cached, link)
	}
	// The tests' user may be unable to search the directories above the cache, but can
	// always reach a mount.
	if info.IsDir() {
		err = os.Mkdir(link, 0o755)
	} else {
		err = os.WriteFile(link, nil, 0o644)
	}
	if err != nil {
		return err
	}
	if err := unix.Mount(cached, link, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind mount of %s: %w", cached, err)
	}
	return nil
}

// removeAll removes a directory that may contain directories their owner cannot
// read.
func removeAll(dir string) error {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			return os.Chmod(path, 0o700)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return os.RemoveAll(dir)
}
