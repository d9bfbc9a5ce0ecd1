package doctor

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestOlder(t *testing.T) {
	for _, tt := range []struct {
		text, oldest string
		want         bool
	}{
		{"runc version 1.1.5+ds1", "1.1.0", false},
		{"runc version 1.0.3", "1.1.0", true},
		{"runc version 1.10.0", "1.9.0", false},
		{"runc version 2.0", "1.1.0", false},
		{"runc version 1.1", "1.1.0", true},
		{"runc version 1.1.0-rc.1", "1.1.0", false},
		{"unknown", "1.1.0", false},
	} {
		if got := older(tt.text, tt.oldest); got != tt.want {
			t.Errorf("%q is older than %s: %v", tt.text, tt.oldest, got)
		}
	}
}

// What is reported of an engine depends on its version, and on other programs.
func TestEngine(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	e := engine{program: "motor", oldest: "1.1", works: "drives", line: "alias m=motor", needs: []string{"tyres", "rails"}, why: "it stays"}
	path := filepath.Join(dir, "motor")
	install := func(name, script string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(want string) {
		t.Helper()
		if got, err := e.probe(nil); err != nil || got != want {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
	expect("not installed (optional)")
	install("motor", "exit 3")
	expect(path + " (version unknown: exit status 3)")
	install("motor", "true")
	expect(path + " (version unknown: --version prints nothing)")
	install("motor", "echo motor 1.0; echo more")
	expect("motor 1.0 (" + path + ")\ntoo old: install 1.1 or later")
	install("motor", "[ $1 = --version ] && echo motor 1.2")
	expect("motor 1.2 (" + path + ")\ndrives\nuse: alias m=motor\nwithout tyres or rails, it stays")
	install("rails", "")
	expect("motor 1.2 (" + path + ")\ndrives\nuse: alias m=motor")
}

// A runtime that does not know listenerPath is too old, as it is for subuidless runtime.
func TestOldRuntimes(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	for _, tt := range []struct{ program, version, want string }{
		{"crun", "0.18", "too old: install 0.19 or later"},
		{"crun", "0.19", "works, behind subuidless runtime"},
		{"runc", "1.0.3", "too old: install 1.1.0 or later"},
		{"runc", "1.1.0", "works, behind subuidless runtime"},
	} {
		if err := os.WriteFile(filepath.Join(dir, tt.program), []byte("#!/bin/sh\necho "+tt.program+" version "+tt.version), 0o755); err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(engines, func(e engine) bool { return e.program == tt.program })
		if got, err := engines[i].probe(nil); err != nil || !strings.Contains(got, tt.want) {
			t.Errorf("%s %s: %q, %v, want %q", tt.program, tt.version, got, err, tt.want)
		}
	}
}
