package ociruntime

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const cgroupRoot = "/sys/fs/cgroup"

// cgroupsUsable reports whether the user may create the cgroup at path, the cgroupsPath of a
// config.json: in version 1 and hybrid hierarchies it may not. Systemd means that path is
// the name of a unit, which systemd creates.
func cgroupsUsable(path string, systemd bool) bool {
	var fs unix.Statfs_t
	if err := unix.Statfs(cgroupRoot, &fs); err != nil || fs.Type != unix.CGROUP2_SUPER_MAGIC {
		return false
	}
	if systemd {
		return os.Getenv("DBUS_SESSION_BUS_ADDRESS") != "" || isAccessible(filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "bus"))
	}
	for dir := filepath.Join(cgroupRoot, path); ; dir = filepath.Dir(dir) {
		if _, err := os.Lstat(dir); err == nil || dir == cgroupRoot {
			return isAccessible(dir)
		}
	}
}

// isAccessible reports whether the process may write to the file at path.
func isAccessible(path string) bool {
	return unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK, unix.AT_EACCESS) == nil
}
