package proot

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/userns"
)

// adoptOrphans makes the calling process the parent of all processes that the command leaves behind.
func adoptOrphans() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("prctl(PR_SET_CHILD_SUBREAPER): %w", err)
	}
	return nil
}

// killOrphans kills the processes that the command has left behind, and those that they start
// meanwhile, and waits for them.
func killOrphans() error {
	for {
		orphans, err := findOrphans()
		if err != nil || len(orphans) == 0 {
			return err
		}
		for _, pid := range orphans {
			if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("--kill-on-exit: killing process %d: %w", pid, err)
			}
		}
		for _, pid := range orphans {
			_, _ = userns.Wait(pid) // an error means that another thread has
		}
	}
}

// findOrphans returns the children of the calling process that are in other user namespaces: the
// supervisor's process is in that of the caller.
func findOrphans() (orphans []int, err error) {
	ours, err := os.Readlink("/proc/self/ns/user")
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	parent := strconv.Itoa(os.Getpid())
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue // it has ended
		}
		// The name is in parentheses, and may contain some.
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if len(fields) < 2 || fields[1] != parent {
			continue
		}
		if theirs, err := os.Readlink("/proc/" + e.Name() + "/ns/user"); err == nil && theirs != ours {
			orphans = append(orphans, pid)
		}
	}
	return orphans, nil
}
