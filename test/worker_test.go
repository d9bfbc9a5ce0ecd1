package test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestWorkerKilled kills the process that answers the system calls again and
// again while tar unpacks. Tar must not notice.
func TestWorkerKilled(t *testing.T) {
	dir := t.TempDir()
	want := unpackWithKills(t, 10, "tar", "-C", dir, "-xpf", "-")
	want.compare(t, ownersBelow(t, dir))
}

// unpackWithKills feeds a large archive to a command, and kills the worker so many
// times meanwhile. It returns the owners in the archive.
func unpackWithKills(t *testing.T, kills int, command ...string) owners {
	t.Helper()
	const files = 10_000
	cmd := exec.CommandContext(t.Context(), "subuidless", append([]string{"exec", "--"}, command...)...)
	// Fed through a pipe, tar is still at work whenever a worker is killed.
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var messages strings.Builder
	cmd.Stdout, cmd.Stderr = &messages, &messages
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	victim := 0
	all, err := writeArchive(stdin, files, func(i int) {
		if i%(files/kills) == files/kills/2 {
			victim = nextWorker(t, cmd.Process.Pid, victim)
			if err := unix.Kill(victim, unix.SIGKILL); err != nil {
				t.Errorf("killing worker %d: %v", victim, err)
			}
		}
	})
	if err != nil {
		t.Error(err)
	}
	if err := stdin.Close(); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("tar: %v\n%s", err, messages.String())
	}
	if said := strings.Count(messages.String(), "the worker died"); said != kills {
		t.Errorf("%d messages about dead workers, want %d:\n%s", said, kills, messages.String())
	}
	return all
}

// ownersBelow returns the owners of all files below dir.
func ownersBelow(t *testing.T, dir string) owners {
	t.Helper()
	all := owners{}
	for line := range strings.Lines(subuidless(t, "exec", "--", "find", dir, "-mindepth", "1", "-printf", "%P %U:%G\n")) {
		name, owner, _ := strings.Cut(strings.TrimSpace(line), " ")
		all[name] = owner
	}
	return all
}

// TestWorkerKilledAmongIdentities does so while programs become other users.
func TestWorkerKilledAmongIdentities(t *testing.T) {
	needs(t, "cc")
	cmd := exec.CommandContext(t.Context(), "subuidless", "exec", "--", "changeids", "3")
	cmd.Dir = t.TempDir()
	if err := os.Chmod(cmd.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	var output strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// A container whose first worker dies does not start.
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(filepath.Join(cmd.Dir, "program")); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the program has not begun")
		}
	}
	victim, kills := 0, 0
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); kills++ {
		victim = nextWorker(t, cmd.Process.Pid, victim)
		time.Sleep(time.Duration(rand.IntN(10)) * time.Millisecond)
		if err := unix.Kill(victim, unix.SIGKILL); err != nil {
			t.Errorf("killing worker %d: %v", victim, err)
		}
	}
	err := cmd.Wait()
	said := deaths.ReplaceAllString(output.String(), "")
	if err != nil || said != "" {
		t.Errorf("%v\n%s", err, said)
	}
	t.Logf("%d workers killed", kills)
}

// deaths are the messages about killed workers. One that is killed before it works is told
// of in its own way.
var deaths = regexp.MustCompile(`(?m)^.*(the worker died|the new worker does not work).*\n`)

// nextWorker waits for a worker of the container that front, a subuidless
// exec, has started, other than the previous one.
func nextWorker(t *testing.T, front, previous int) int {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for ; time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		for _, pid := range workers(front) {
			if pid != previous {
				return pid
			}
		}
	}
	t.Fatalf("no worker other than %d", previous)
	return 0
}

// workers lists the workers in the user namespace of a child of front.
func workers(front int) []int {
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", front, front))
	if err != nil {
		return nil
	}
	namespaces := map[string]bool{}
	for _, child := range strings.Fields(string(children)) {
		if ns, err := os.Readlink("/proc/" + child + "/ns/user"); err == nil {
			namespaces[ns] = true
		}
	}
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		panic(err) // a malformed pattern
	}
	var found []int
	for _, dir := range processes {
		name, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil || !strings.HasPrefix(string(name), "subuidless-worker\x00") {
			continue
		}
		ns, err := os.Readlink(filepath.Join(dir, "ns", "user"))
		if err != nil || !namespaces[ns] {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil {
			found = append(found, pid)
		}
	}
	return found
}
