package test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestPodmanKilled kills the supervisor of a running container.
func TestPodmanKilled(t *testing.T) {
	needs(t, "busybox", "podman")
	e := newEngine(t)
	e.run("podman", "run", "-d", "--name", "box", "--network=none", e.base(), "sleep", "1000")
	keeper := func() int {
		t.Helper()
		for line := range strings.Lines(e.run("session", "ls")) {
			if f := strings.Fields(line); f[0] == "default" {
				pid, err := strconv.Atoi(f[1])
				if err != nil {
					t.Fatal(err)
				}
				return pid
			}
		}
		t.Fatal("there is no session")
		return 0
	}
	// One of the two is replaced, and nobody notices.
	signalAll(t, unix.SIGKILL, keeper())
	e.expect("33\n", "podman", "exec", "-u", "33", "box", "id", "-u")
	signalAll(t, unix.SIGKILL, workerOf(t, e))
	e.expect("33\n", "podman", "exec", "-u", "33", "box", "id", "-u")

	// Without them and the standby, the containers have to end: the undertaker ends them, or the next
	// command, which says so. Podman can start them again.
	for _, buried := range []bool{true, false} {
		undertakers := func() []int { return supervisors(t, "undertaker", "default") }
		eventually(t, "an undertaker", func() bool { return len(undertakers()) > 0 })
		if pids := []int{keeper(), workerOf(t, e), standbyOf(t)}; !buried {
			stopTogether(t, pids...)
			signalAll(t, unix.SIGKILL, undertakers()...)
			killStopped(t, pids)
		} else {
			killTogether(t, pids...)
		}
		if buried {
			eventually(t, "the end of the undertakers", func() bool { return len(undertakers()) == 0 })
		}
		out, messages, status := e.try("podman", "ps", "-a", "--format", "{{.Names}} {{.ExitCode}}")
		if status != 0 || out != "box 137\n" || !strings.Contains(messages, "the supervisor of session default was killed: ending the ") || !strings.Contains(messages, "with the containers box") {
			t.Errorf("after the death of the supervisor (undertaker: %v): exit status %d\n%s%s", buried, status, out, messages)
		}
		e.run("podman", "start", "box")
		e.expect("33\n", "podman", "exec", "-u", "33", "box", "id", "-u")
	}
	e.run("podman", "rm", "-f", "-t", "0", "box")
}

// workerOf returns the process id of the worker of the user's session: it is the one process
// in the session's user namespace whose name tells it.
func workerOf(t *testing.T, e *engine) int {
	t.Helper()
	ns := strings.TrimSpace(e.run("session", "exec", "--", "readlink", "/proc/self/ns/user"))
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		for _, pid := range processes(os.Getuid(), workVar+"="+work()) {
			if link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/user", pid)); err == nil && link == ns && strings.HasPrefix(commandLine(pid), "subuidless-worker ") {
				return pid
			}
		}
	}
	t.Fatal("there is no worker")
	return 0
}

// standbyOf waits for the standby of the session default, which can take over, and returns its process id.
func standbyOf(t *testing.T) (standby int) {
	t.Helper()
	eventually(t, "the standby of the session", func() bool {
		for _, pid := range processes(os.Getuid(), workVar+"="+work()) {
			if commandLine(pid) == "subuidless-standby default" && hasOpen(pid, "anon_inode:seccomp notify") {
				standby = pid
			}
		}
		return standby != 0
	})
	return standby
}
