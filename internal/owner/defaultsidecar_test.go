package owner

import (
	"os"
	"path/filepath"
	"testing"
)

func TestDefaultSidecar(t *testing.T) {
	for _, tt := range []struct{ state, home, want string }{
		{"/state", "/home/u", "/state/subuidless/sidecar"},
		{"", "/home/u", "/home/u/.local/state/subuidless/sidecar"},
		{"relative", "/home/u", "/home/u/.local/state/subuidless/sidecar"},
		{"", "", ""},
	} {
		t.Setenv("XDG_STATE_HOME", tt.state)
		t.Setenv("HOME", tt.home)
		t.Setenv("XDG_CONFIG_HOME", "")
		t.Setenv(SidecarVariable, "")
		if got, err := defaultSidecar(t.TempDir()); got != tt.want || (err != nil) != (tt.want == "") {
			t.Errorf("XDG_STATE_HOME=%q HOME=%q: %q, %v; want %q", tt.state, tt.home, got, err, tt.want)
		}
	}
}

// The environment comes before the user's file, and that before the administrator's.
func TestConfiguredSidecar(t *testing.T) {
	for _, tt := range []struct{ variable, user, system, want string }{
		{"", "", "", "/state/subuidless/sidecar"},
		{"", "", "/var/$WHO/s\n", "/var/me/s"},
		{"", "# a comment\n\n  /local/${WHO}\n/ignored\n", "/var\n", "/local/me"},
		{"", "# nothing\n", "/var", "/var"},
		{"/variable", "/local", "/var", "/variable"},
		{"relative", "/local", "/var", ""},
		{"", "relative", "/var", ""},
		{"", "/local/$NOBODY", "/var", ""},
	} {
		user, system := t.TempDir(), t.TempDir()
		for dir, text := range map[string]string{user: tt.user, system: tt.system} {
			if text == "" {
				continue
			}
			file := filepath.Join(dir, "subuidless", "sidecar")
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		t.Setenv("XDG_STATE_HOME", "/state")
		t.Setenv("XDG_CONFIG_HOME", user)
		t.Setenv(SidecarVariable, tt.variable)
		t.Setenv("WHO", "me")
		t.Setenv("NOBODY", "")
		if got, err := defaultSidecar(system); got != tt.want || (err != nil) != (tt.want == "") {
			t.Errorf("%s=%q, the user's file %q, the administrator's %q: %q, %v; want %q", SidecarVariable, tt.variable, tt.user, tt.system, got, err, tt.want)
		}
	}
}
