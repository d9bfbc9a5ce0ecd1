package test

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"
)

// TestPodmanFuse uses a storage that mounts layers by a FUSE server in the session.
func TestPodmanFuse(t *testing.T) {
	needs(t, "busybox", "fuse", "fuse-overlayfs", "podman")
	e := newEngine(t)
	e.configure("storage.conf", "[storage]\ndriver = \"overlay\"\n[storage.options.overlay]\nmount_program = \"/usr/bin/fuse-overlayfs\"\n")
	e.run("podman", "pull", "-q", e.base())
	e.run("podman", "run", "-d", "--name", "box", "--network=none", e.base(), "sleep", "1000")
	e.expect("fuse.fuse-overlayfs\n", "podman", "exec", "box", "sh", "-c", `awk '$2 == "/" { print $3 }' /proc/mounts`)
	e.expect(owned, "podman", "exec", "-u", "33", "box", "sh", "-c", showOwned)
	e.run("podman", "exec", "box", "sh", "-c", "cd /owned; chown 5:6 33; chown -h 7:8 link; mkfifo new; chown 9:10 new; ln -s 33 other; chown -h 11:12 other")
	const show, want = "cd /owned; echo $(stat -c %u:%g 33 link new other 101)", "5:6 7:8 9:10 11:12 101:101\n"
	e.expect(want, "podman", "exec", "box", "sh", "-c", show)
	e.run("podman", "commit", "-q", "box", "committed")
	e.run("podman", "rm", "-f", "-t", "0", "box")
	e.expect(want, "podman", "run", "--rm", "--network=none", "committed", "sh", "-c", show)
}

// TestPodmanVFS uses a storage that a plain podman has begun with the driver vfs.
func TestPodmanVFS(t *testing.T) {
	needs(t, "buildah", "busybox", "podman")
	e := newEngine(t)
	first := e.command("podman", "info")
	first.Env = append(first.Env, "STORAGE_DRIVER=vfs")
	if out, err := first.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := endPause(e); err != nil {
		t.Fatal(err)
	}
	const driver = "{{.Store.GraphDriverName}}"
	out, messages, status := e.try("podman", "info", "-f", driver)
	if status != 0 || out != "vfs\n" || !strings.Contains(messages, "use the storage driver vfs") || !strings.Contains(messages, "subuidless podman system reset") {
		t.Errorf("exit status %d\n%s%s", status, out, messages)
	}
	// Said once in a session. Buildah uses the same storage.
	if _, messages, _ := e.try("podman", "pull", "-q", e.base()); strings.Contains(messages, "vfs") {
		t.Errorf("the second command says: %s", messages)
	}
	e.expect(e.base()+"\n", "buildah", "images", "--format", "{{.Name}}")
	e.expect(owned, "podman", "run", "--rm", "--network=none", e.base(), "sh", "-c", showOwned)
	// What podman starts in the background at the end of a container may write the database again.
	for end := time.Now().Add(patience); ; {
		e.run("podman", "system", "reset", "-f")
		out, messages, status := e.try("podman", "info", "-f", driver)
		if status == 0 && out == "overlay\n" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("exit status %d\n%s%s", status, out, messages)
		}
	}
}

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
