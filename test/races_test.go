package test

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestRaces changes owners, and moves files, while others look: on file systems with
// and without attributes for records, and on one that uses inode numbers again at once.
func TestRaces(t *testing.T) {
	for name, parent := range map[string]string{"tmpfs": work("tmp"), "no attributes": work("ramfs"), "disk": "/var/tmp"} {
		t.Run(name, func(t *testing.T) {
			needs(t, "cc")
			if name == "no attributes" {
				needs(t, "ramfs")
			}
			cmd, output := racing(t, parent)
			if err := cmd.Run(); err != nil || output.Len() > 0 {
				t.Errorf("%v\n%.4000s", err, output.String())
			}
		})
	}
}

// TestRacesWithWorkersKilled kills the worker again and again meanwhile.
func TestRacesWithWorkersKilled(t *testing.T) {
	needs(t, "cc")
	cmd, output := racing(t, work("tmp"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	victim, kills := 0, 0
	for end := time.Now().Add(1500 * time.Millisecond); time.Now().Before(end); kills++ {
		victim = nextWorker(t, cmd.Process.Pid, victim)
		time.Sleep(time.Duration(50+rand.IntN(50)) * time.Millisecond)
		if err := unix.Kill(victim, unix.SIGKILL); err != nil {
			t.Errorf("killing worker %d: %v", victim, err)
		}
	}
	err := cmd.Wait()
	if said := deaths.ReplaceAllString(output.String(), ""); err != nil || said != "" {
		t.Errorf("%v\n%.4000s", err, said)
	}
	t.Logf("%d workers killed", kills)
}

// racing returns a command that runs the program races in a directory below parent.
func racing(t *testing.T, parent string) (*exec.Cmd, *strings.Builder) {
	t.Helper()
	dir, err := os.MkdirTemp(parent, "subuidless-races-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := removeAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "subuidless", "exec", "--", "races", "2")
	cmd.Dir = dir
	output := new(strings.Builder)
	cmd.Stdout, cmd.Stderr = output, output
	return cmd, output
}
