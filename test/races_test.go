package test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestRaces changes owners and moves files while other processes read them: on file
// systems with and without extended attributes, and on one that reuses inode numbers
// at once.
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

// TestRacesWithWorkersKilled does the same while the worker is repeatedly killed.
func TestRacesWithWorkersKilled(t *testing.T) {
	needs(t, "cc")
	cmd, output := racing(t, work("tmp"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, err := killWorkers(t, cmd, patience, 50*time.Millisecond, 100*time.Millisecond)
	if said := deaths.ReplaceAllString(output.String(), ""); err != nil || said != "" {
		t.Errorf("%v\n%.4000s", err, said)
	}
}

// racing returns a command that runs the program races in a new directory in parent,
// and its output.
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
	cmd := command(t, "subuidless", "exec", "--", "races", "2")
	cmd.Dir = dir
	output := new(strings.Builder)
	cmd.Stdout, cmd.Stderr = output, output
	return cmd, output
}
