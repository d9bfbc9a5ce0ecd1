package cli

import (
	"runtime/debug"
	"testing"
)

func TestFormatVersion(t *testing.T) {
	setting := func(key, value string) debug.BuildSetting { return debug.BuildSetting{Key: key, Value: value} }
	for _, tt := range []struct {
		name     string
		version  string
		settings []debug.BuildSetting
		want     string
	}{
		{"release", "v1.2.3", []debug.BuildSetting{setting("vcs.revision", "0123456789abcdef"), setting("vcs.modified", "false")},
			"v1.2.3 (commit 0123456789ab, go1.26.8, linux/amd64)"},
		{"uncommitted changes", "v1.2.3+dirty", []debug.BuildSetting{setting("vcs.revision", "abc"), setting("vcs.modified", "true")},
			"v1.2.3+dirty (commit abc-dirty, go1.26.8, linux/amd64)"},
		{"go install PACKAGE@VERSION", "v1.2.3", nil, "v1.2.3 (go1.26.8, linux/amd64)"},
		{"-buildvcs=false", "(devel)", nil, "devel (go1.26.8, linux/amd64)"},
		{"no build information", "", nil, "unknown (go1.26.8, linux/amd64)"},
	} {
		info := &debug.BuildInfo{GoVersion: "go1.26.8", Main: debug.Module{Version: tt.version}, Settings: tt.settings}
		if got := formatVersion(info, "linux/amd64"); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
