package ociruntime

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const cgroupRoot = "/sys/fs/cgroup"

// cgroupsUsable reports whether the user may create the cgroup at path, the cgroupsPath of a
// config.json, and move processes there: in version 1 and hybrid hierarchies it may not.
// Systemd means that path is the name of a unit, which systemd creates.
func cgroupsUsable(path string, systemd bool) bool {
	var fs unix.Statfs_t
	if err := unix.Statfs(cgroupRoot, &fs); err != nil || fs.Type != unix.CGROUP2_SUPER_MAGIC {
		return false
	}
	if systemd {
		return os.Getenv("DBUS_SESSION_BUS_ADDRESS") != "" || isWritable(filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "bus"))
	}
	dir := filepath.Join(cgroupRoot, path)
	for dir != cgroupRoot {
		if _, err := os.Lstat(dir); err == nil {
			break
		}
		dir = filepath.Dir(dir)
	}
	own, err := ownCgroup()
	if err != nil {
		return false
	}
	// cgroups(7), "Delegation containment": moving a process needs "write permission on the
	// cgroup.procs file in the nearest common ancestor of the source and destination cgroups".
	return isWritable(dir) && isWritable(filepath.Join(commonAncestor(dir, own), "cgroup.procs"))
}

// ownCgroup returns the directory of this process's cgroup.
func ownCgroup() (string, error) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if path, ok := strings.CutPrefix(line, "0::"); ok {
			return filepath.Join(cgroupRoot, strings.TrimSpace(path)), nil
		}
	}
	return cgroupRoot, nil
}

// commonAncestor returns the lowest directory that contains, or is, both a and b. Both must be
// absolute and clean.
func commonAncestor(a, b string) string {
	for !strings.HasPrefix(b+"/", strings.TrimSuffix(a, "/")+"/") {
		a = filepath.Dir(a)
	}
	return a
}

// isWritable reports whether the process may write to the file at path.
func isWritable(path string) bool {
	return unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK, unix.AT_EACCESS) == nil
}
