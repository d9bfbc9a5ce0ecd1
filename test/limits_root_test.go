package test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// limitsAsRoot has testdata/limits/start.sh run containers with limits, as the user of the tests in a
// cgroup that belongs to the user, and stores what they print in "expected/limits". Only root can
// make such a cgroup and move processes there.
//
// Errors of the commands are the test's to report.
func limitsAsRoot(work string) (err error) {
	if _, missing := unmet("busybox", "systemd"); missing || !selected("TestCgroups") {
		return nil // the test is skipped, or not run
	}
	var home unix.Stat_t
	if err := unix.Stat(filepath.Join(work, "home"), &home); err != nil {
		return err
	}
	dir := filepath.Join(work, "limits")
	cgroups := filepath.Join(work, "cgroups")
	for _, dir := range []string{dir, cgroups} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	if err := unix.Mount("cgroup2", cgroups, "cgroup2", 0, ""); err != nil {
		return fmt.Errorf("mounting cgroups of version 2: %w", err)
	}
	name := fmt.Sprintf("test-subuidless-%d", os.Getpid())
	group := filepath.Join(cgroups, name)
	if err := os.Mkdir(group, 0o755); err != nil {
		return errors.Join(err, unix.Unmount(cgroups, 0))
	}
	defer func() { err = errors.Join(err, removeCgroup(group), unix.Unmount(cgroups, 0)) }()
	ctx, cancel := limited(context.Background())
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", filepath.Join(work, "testdata", "limits", "start.sh"), strconv.Itoa(int(home.Uid)), cgroups, name, dir)
	cmd.Env = append(testEnv(work), "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	cmd.WaitDelay = patience
	out, failed := cmd.CombinedOutput()
	if failed != nil {
		out = fmt.Appendln(out, "start.sh:", failed)
	}
	if err := os.MkdirAll(filepath.Join(work, "expected"), 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(work, "expected", "limits"), out, 0o644)
}

// removeCgroup kills all processes of a cgroup and of those below it, and removes them.
func removeCgroup(dir string) error {
	// Before Linux 5.14, there is no such file; then, a process that is left is an error below.
	if err := os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0); err != nil && !os.IsPermission(err) {
		return err
	}
	var dirs []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return err
	})
	if err != nil {
		return err
	}
	for end := time.Now().Add(patience); len(dirs) > 0; {
		last := len(dirs) - 1
		switch err := unix.Rmdir(dirs[last]); {
		case err == nil || err == unix.ENOENT:
			dirs = dirs[:last]
		case err != unix.EBUSY || time.Now().After(end):
			return fmt.Errorf("removing the cgroup %s: %w", dirs[last], err)
		default:
			time.Sleep(10 * time.Millisecond)
		}
	}
	return nil
}
