package test

import (
	"os"
	"path/filepath"
	"testing"
)

// TestDocker runs docker's client, and podman in its place.
func TestDocker(t *testing.T) {
	needs(t, "busybox", "podman")
	for _, tt := range []struct {
		name     string
		required string
		path     func(t *testing.T) string // of the command "docker"; empty: there is none
	}{
		{"client", "docker", func(*testing.T) string { return "" }},
		{"script", "podman", func(t *testing.T) string {
			script := filepath.Join(t.TempDir(), "docker")
			if err := os.WriteFile(script, []byte("#!/bin/sh\nexec podman \"$@\"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			return filepath.Dir(script) + ":"
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			needs(t, tt.required)
			e := newEngine(t)
			e.env = append(e.env, "PATH="+tt.path(t)+os.Getenv("PATH"))
			e.run("docker", "pull", "-q", e.base())
			e.run("docker", "run", "-d", "--name", "box", "--network=none", e.base(), "sleep", "1000")
			e.expect(owned, "docker", "exec", "box", "sh", "-c", showOwned)
			e.expect("33\n", "docker", "exec", "-u", "33", "box", "id", "-u")
			e.expect("box\n", "podman", "ps", "--format", "{{.Names}}")
			e.run("docker", "build", "--build-arg", "base="+e.base(), "--target", "first", "-t", "built", ".")
			e.expect("46:47\n", "docker", "run", "--rm", "--network=none", "built", "stat", "-c", "%u:%g", "/srv/link")
			e.run("docker", "kill", "box")
			e.run("docker", "rm", "box")
			e.run("session", "stop") // not the server
		})
	}
}
