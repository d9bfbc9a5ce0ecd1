package test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
	"github.com/rootless-containers/subuidless/test/forked"
)

// supervisors lists the processes of that name of a container's supervisor.
func supervisors(t *testing.T, name, id string) []int {
	t.Helper()
	return slices.DeleteFunc(shownAs(t, name, id), func(pid int) bool {
		return name != "undertaker" && !forked.HasExecuted(pid) // an undertaker has set its command line itself
	})
}

// shownAs lists the processes with this command line.
func shownAs(t *testing.T, name, id string) (pids []int) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range all {
		cmdline, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil || strings.TrimRight(string(cmdline), "\x00") != name+"\x00"+id {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// statusField returns a field of /proc/PID/status. It is empty if the process has ended.
func statusField(pid int, name string) string {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	return sys.StatusField(status, name)
}

// signalAll sends a signal to processes.
func signalAll(t *testing.T, s unix.Signal, pids ...int) {
	t.Helper()
	for _, pid := range pids {
		if err := unix.Kill(pid, s); err != nil {
			t.Errorf("process %d: %v: %v", pid, s, err)
		}
	}
}

// stopTogether stops processes until all of them are: those that still run continue the others.
func stopTogether(t *testing.T, pids ...int) {
	t.Helper()
	eventually(t, "all processes are stopped", func() bool { return tryStop(pids) })
}

// tryStop stops processes, and reports whether all are stopped.
func tryStop(pids []int) bool {
	for _, pid := range pids {
		_ = unix.Kill(pid, unix.SIGSTOP) // it may have ended
	}
	return !slices.ContainsFunc(pids, func(pid int) bool { return statusField(pid, "State") != "T (stopped)" })
}

// killTogether stops processes, so that none replaces another, and kills them.
func killTogether(t *testing.T, pids ...int) {
	t.Helper()
	stopTogether(t, pids...)
	killStopped(t, pids)
}

// killStopped kills processes that are stopped. The kernel continues the children of one that ends, so
// they are killed before.
func killStopped(t *testing.T, pids []int) {
	t.Helper()
	for len(pids) > 0 {
		parents := map[string]bool{}
		for _, pid := range pids {
			parents[statusField(pid, "PPid")] = true
		}
		var left []int
		for _, pid := range pids {
			if parents[strconv.Itoa(pid)] {
				left = append(left, pid)
			} else {
				signalAll(t, unix.SIGKILL, pid)
			}
		}
		pids = left
	}
}

// killSupervisor kills all processes of a container's supervisor except the undertakers, also those that
// are just being started, and others that could start some.
func killSupervisor(t *testing.T, id string, others ...int) {
	t.Helper()
	list := func() []int {
		pids := slices.Clone(others)
		for _, name := range []string{"subuidless-keeper", "subuidless-worker", "subuidless-standby"} {
			pids = append(pids, shownAs(t, name, id)...)
		}
		return pids
	}
	var pids []int
	eventually(t, "the whole supervisor is stopped", func() bool {
		pids = list()
		return tryStop(pids) && slices.Equal(list(), pids)
	})
	killStopped(t, pids)
}
