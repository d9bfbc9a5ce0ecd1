package agent

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// mountNamespaceID returns an id for the container of process pid, whose runtime does not
// say one. The processes of a container, and no others, share its mount namespace.
func mountNamespaceID(pid int) (string, error) {
	path := fmt.Sprintf("/proc/%d/ns/mnt", pid)
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return "", fmt.Errorf("stat %s: %w", path, err)
	}
	return fmt.Sprintf("crun-%d", st.Ino), nil
}

// checkListener returns an error if f is not a seccomp listener.
func checkListener(f *os.File) error {
	path := fmt.Sprintf("/proc/self/fd/%d", f.Fd())
	kind, err := os.Readlink(path)
	if err != nil {
		return fmt.Errorf("checking the seccomp listener: %w", err)
	}
	if kind != "anon_inode:seccomp notify" {
		return fmt.Errorf("the descriptor that the runtime sent is %s, not a seccomp listener", kind)
	}
	return nil
}

// checkFiltered returns an error if there is no process pid with a seccomp filter. The
// likely cause is a runtime in another PID namespace, which knows the process by another
// id.
func checkFiltered(pid int) error {
	const samePIDs = "the runtime and the agent must run in the same PID namespace"
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("there is no process %d: it has ended, or %s", pid, samePIDs)
	case err != nil:
		return err
	case !strings.Contains(string(status), "\nSeccomp:\t2\n"):
		return fmt.Errorf("process %d has no seccomp filter: %s", pid, samePIDs)
	}
	return nil
}
