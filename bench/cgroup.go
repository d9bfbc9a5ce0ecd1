package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cgroupMounts are where distributions mount the cgroups of version 2.
var cgroupMounts = []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}

// makeCgroup creates a cgroup for the second stage and everything that it starts, and links the
// work directory to it. Only root can. The directory is open, for the start of a process in it.
func makeCgroup(w workdir) (*os.File, error) {
	isCgroup2 := func(dir string) bool {
		var stat unix.Statfs_t
		return unix.Statfs(dir, &stat) == nil && stat.Type == unix.CGROUP2_SUPER_MAGIC
	}
	i := slices.IndexFunc(cgroupMounts, isCgroup2)
	if i < 0 {
		return nil, errors.New("no cgroup file system of version 2 is mounted")
	}
	dir := filepath.Join(cgroupMounts[i], filepath.Base(string(w)))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	open, err := os.Open(dir)
	if err == nil {
		err = os.Symlink(dir, w.cgroup())
	}
	if err != nil {
		return nil, errors.Join(err, os.Remove(dir))
	}
	return open, nil
}

// removeCgroup removes the cgroup when what was started in it has ended. A daemon may take a moment.
func removeCgroup(cgroup *os.File) error {
	defer cgroup.Close()
	for start := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		err := os.Remove(cgroup.Name())
		if !errors.Is(err, unix.EBUSY) || time.Since(start) > commandLimit {
			return err
		}
	}
}

// cpuTime returns the CPU time that this stage and its descendants have used, or 0 without a cgroup.
func cpuTime(w workdir) (time.Duration, error) {
	stat, err := os.ReadFile(filepath.Join(w.cgroup(), "cpu.stat"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(stat)) {
		if text, ok := strings.CutPrefix(line, "usage_usec "); ok {
			microseconds, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
			return time.Duration(microseconds) * time.Microsecond, err
		}
	}
	return 0, fmt.Errorf("%s/cpu.stat has no usage_usec", w.cgroup())
}
