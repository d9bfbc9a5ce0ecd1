package test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// stopSessions ends the sessions below the runtime directory run, with everything in them.
func stopSessions(run string) error {
	names, err := filepath.Glob(filepath.Join(run, "subuidless", "sessions", "*"))
	if err != nil {
		return err
	}
	for _, name := range names {
		cmd := exec.Command("subuidless", "session", "stop", "--force", filepath.Base(name))
		cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+run)
		if out, e := cmd.CombinedOutput(); e != nil {
			err = errors.Join(err, fmt.Errorf("stopping session %s: %w\n%s", name, e, out))
		}
	}
	return err
}

// newSession starts a session, which is stopped at the end of the test, and returns its name.
func newSession(t *testing.T) string {
	t.Helper()
	name := strings.ReplaceAll(t.Name(), "/", "-")
	if out, err := command(t, "subuidless", "session", "exec", "--session", name, "--", "true").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	stopSessionsAfter(t)
	return name
}

// stopSessionsAfter stops all sessions at the end of the test.
func stopSessionsAfter(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		if err := stopSessions(os.Getenv("XDG_RUNTIME_DIR")); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "subuidless")); err != nil {
			t.Error(err)
		}
	})
}
