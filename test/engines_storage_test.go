package test

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
)

// TestPodmanStorage uses a storage whose database another version of podman has written, as far as
// this one can tell. The engine says so, and nothing is left running.
func TestPodmanStorage(t *testing.T) {
	needs(t, "podman")
	e := newEngine(t)
	const version = "{{.Version.Version}}"
	e.run("podman", "info", "-f", version)
	store := e.home(".local", "share", "containers", "storage")
	databases := map[string]string{ // by version of podman
		"4": store + "/libpod/bolt_state.db",
		"5": store + "/db.sql",
	}
	found := false
	for v, database := range databases {
		written, err := os.ReadFile(database)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		found = true
		if err := os.WriteFile(database, []byte(strings.Repeat("of another version\n", 1000)), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, messages, status := e.try("podman", "ps", "-a"); status != 125 || out != "" || !strings.Contains(messages, "Error: ") {
			t.Errorf("podman %s: exit status %d\n%s%s", v, status, out, messages)
		}
		e.run("session", "stop") // no process is left
		if err := os.WriteFile(database, written, 0o600); err != nil {
			t.Fatal(err)
		}
		e.run("podman", "info", "-f", version)
	}
	if !found {
		t.Errorf("there is none of %v", databases)
	}
}
