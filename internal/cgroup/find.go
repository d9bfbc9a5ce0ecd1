package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// mountPoints are where cgroups of version 2 are mounted: alone, or beside those of version 1.
var mountPoints = []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}

// outsideName is the name of the cgroup that the processes of a cgroup move to before it is divided: one
// whose controllers limit its children cannot have processes itself.
const outsideName = "subuidless-outside"

// mountPoint returns where cgroups of version 2 are mounted.
func mountPoint() (string, error) {
	for _, dir := range mountPoints {
		var fs unix.Statfs_t
		if unix.Statfs(dir, &fs) == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC {
			return dir, nil
		}
	}
	return "", errors.New("cgroups of version 2 are not mounted at /sys/fs/cgroup: the kernel's option systemd.unified_cgroup_hierarchy=1 lets systemd mount them")
}

// own returns the directory of the cgroup of this process, below the mount point root.
func own(root string) (string, error) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		path, ok := strings.CutPrefix(line, "0::")
		if !ok {
			continue
		}
		path = strings.TrimSuffix(path, "\n")
		if dir := filepath.Join(root, path); !strings.HasPrefix(path, "/../") && exists(dir) {
			return dir, nil
		}
		return "", fmt.Errorf("the cgroup of this process, %s, is not below %s: it is outside of the cgroup namespace", path, root)
	}
	return "", errors.New("/proc/self/cgroup has no cgroup of version 2")
}

func exists(dir string) bool {
	_, err := os.Stat(dir)
	return err == nil
}

// find returns the directory of a cgroup that the user may divide, and in which the controllers are
// available. If systemd makes it, its name begins with name.
func find(need []string, name string) (string, error) {
	root, err := mountPoint()
	if err != nil {
		return "", err
	}
	if err := checkAvailable(root, root, need); err != nil {
		return "", err
	}
	base, err := choose(root, need, func(dir string) (string, error) {
		return byManager(root, dir, fmt.Sprintf("%s-%d", name, os.Getpid()))
	})
	if err != nil {
		return "", err
	}
	return base, checkAvailable(root, base, need)
}

// choose returns the directory of the cgroup that the user may divide, or what ofManager returns for the
// cgroup of this process if systemd has to say.
func choose(root string, need []string, ofManager func(dir string) (string, error)) (string, error) {
	dir, err := own(root)
	if err != nil {
		return "", err
	}
	if base := delegated(root, dir); base != "" {
		return base, nil
	}
	switch {
	case hasManager():
		base, err := ofManager(dir)
		if err != nil {
			return "", fmt.Errorf("asking systemd for a cgroup: %w", err)
		}
		return base, nil
	case divisible(dir):
		return divided(root, dir, need), nil
	}
	return "", errNotYours(dir)
}

// errNotYours is the error for a user who can have no cgroup besides dir.
func errNotYours(dir string) error {
	return fmt.Errorf("you may not write to the cgroup %s, and no systemd serves you, as there is no %s: log in by ssh or at the console instead of su, or let root run loginctl enable-linger %d, or give you a cgroup (docs/containers.md)", dir, managerSocket(), os.Geteuid())
}

// delegated returns the nearest unit of systemd that contains the cgroup dir if an attribute says that
// systemd has left its cgroup to the user (Delegate=yes), and else "".
func delegated(root, dir string) string {
	for ; len(dir) > len(root); dir = filepath.Dir(dir) {
		switch filepath.Ext(dir) {
		case ".scope", ".service":
			value := make([]byte, 1)
			if n, err := unix.Getxattr(dir, "user.delegate", value); err == nil && n == 1 && value[0] == '1' && divisible(dir) {
				return dir
			}
			return ""
		}
	}
	return ""
}

// divided returns the nearest cgroup that contains dir, or is it, and whose children have the
// controllers already; else dir, or if that is outsideName, the one above.
func divided(root, dir string, need []string) string {
	first := dir
	if filepath.Base(dir) == outsideName {
		first = filepath.Dir(dir)
	}
	for dir = first; len(dir) >= len(root) && divisible(dir); dir = filepath.Dir(dir) {
		if len(missing(dir, "cgroup.subtree_control", need)) == 0 {
			return dir
		}
	}
	return first
}

// divisible reports whether this process may create cgroups in dir and move its own processes there.
func divisible(dir string) bool {
	for _, name := range []string{"", "cgroup.procs", "cgroup.subtree_control"} {
		if unix.Faccessat(unix.AT_FDCWD, filepath.Join(dir, name), unix.W_OK, unix.AT_EACCESS) != nil {
			return false
		}
	}
	return true
}

// missing returns the controllers that a file of dir does not list.
func missing(dir, file string, need []string) []string {
	text, _ := os.ReadFile(filepath.Join(dir, file)) // an error means none
	has := strings.Fields(string(text))
	return slices.DeleteFunc(slices.Clone(need), func(c string) bool { return slices.Contains(has, c) })
}

// checkAvailable returns an error if the cgroup base does not have the controllers.
func checkAvailable(root, base string, need []string) error {
	lacks := missing(base, "cgroup.controllers", need)
	if len(lacks) == 0 {
		return nil
	}
	names := strings.Join(lacks, ", ")
	if base == root {
		return fmt.Errorf("cgroups of version 2 (%s) lack controllers on this machine: %s; version 1 has them, or the kernel lacks them", root, names)
	}
	return fmt.Errorf("the cgroup %s lacks controllers: %s; root can add them to Delegate= of user@.service (systemctl edit user@.service), or without systemd to cgroup.subtree_control of the cgroups above", base, names)
}

// Examine returns the cgroup in which find makes those of containers, or with systemd, the one that it
// serves, and which of the controllers cpu, cpuset, memory and pids it has. It is an error if it
// has none. Nothing is changed.
func Examine() (base string, available []string, err error) {
	root, err := mountPoint()
	if err != nil {
		return "", nil, err
	}
	usual := []string{"cpu", "cpuset", "memory", "pids"}
	if lacks := missing(root, "cgroup.controllers", usual); len(lacks) == len(usual) {
		return "", nil, checkAvailable(root, root, usual)
	}
	base, err = choose(root, nil, func(string) (string, error) { return managerGroup(root), nil })
	if err != nil {
		return "", nil, err
	}
	lacks := missing(base, "cgroup.controllers", usual)
	if len(lacks) == len(usual) {
		return "", nil, checkAvailable(root, base, usual)
	}
	return base, slices.DeleteFunc(usual, func(c string) bool { return slices.Contains(lacks, c) }), nil
}
