package test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestKeeperKilled repeatedly kills the keeper, also before it has taken over from the previous
// one. Afterwards there is one that restarts the worker, and it ends with the container.
func TestKeeperKilled(t *testing.T) {
	cmd := command(t, "subuidless", "exec", "--", "sh", "-c", "while read owner; do chown $owner f && stat -c %u:%g f; done")
	cmd.Dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(cmd.Dir, "f"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var messages strings.Builder
	cmd.Stderr = &messages
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	id := fmt.Sprintf("exec-%d", cmd.Process.Pid)
	owners := bufio.NewReader(out)
	chown := func(owner string) {
		t.Helper()
		if _, err := io.WriteString(in, owner+"\n"); err != nil {
			t.Fatal(err)
		}
		if got, err := owners.ReadString('\n'); got != owner+"\n" || err != nil {
			t.Fatalf("owner %q, want %q: %v\n%s", got, owner, err, messages.String())
		}
	}
	chown("1:2")

	kill := func(name string, previous int) int {
		t.Helper()
		pid := awaitProcess(t, name, id, previous)
		if err := unix.Kill(pid, unix.SIGKILL); err != nil {
			t.Errorf("killing %s %d: %v", name, pid, err)
		}
		return pid
	}
	keeper := 0
	for i := range 60 {
		keeper = kill("subuidless-keeper", keeper)
		time.Sleep(rand.N(80*time.Millisecond) * time.Duration(i%2)) // any moment of its start
	}
	awaitProcess(t, "subuidless-keeper", id, keeper)
	chown("3:4")
	worker := kill("subuidless-worker", 0)
	chown("5:6")
	awaitProcess(t, "subuidless-worker", id, worker)

	if err := in.Close(); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, messages.String())
	}
	for late := time.Now().Add(patience); len(called(t, "subuidless-keeper", id)) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("the keeper outlives its container")
		}
	}
}

// awaitProcess waits for a process with these arguments, other than the previous one.
func awaitProcess(t *testing.T, name, arg string, previous int) int {
	t.Helper()
	for late := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		for _, pid := range called(t, name, arg) {
			if pid != previous {
				return pid
			}
		}
		if time.Now().After(late) {
			t.Fatalf("no %s %s other than process %d", name, arg, previous)
		}
	}
}

// called lists the processes with these arguments.
func called(t *testing.T, name, arg string) (pids []int) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range all {
		cmdline, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil || string(cmdline) != name+"\x00"+arg+"\x00" {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
