package launch

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParseVolumes(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("src", 0o755); err != nil {
		t.Fatal(err)
	}
	src, err := filepath.Abs("src")
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseVolumes([]string{"src:/a/b/c:ro", src + ":/a/", "/:/a/d:rw"})
	if err != nil {
		t.Fatal(err)
	}
	want := []volume{
		{Source: src, Destination: "/a/b/c", Readonly: true},
		{Source: src, Destination: "/a"},
		{Source: "/", Destination: "/a/d"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestParseVolumesErrors(t *testing.T) {
	for spec, want := range map[string]string{
		"/tmp":             "SRC:DST",
		":/a":              "SRC:DST",
		"/tmp:/a:ro:x":     "SRC:DST",
		"/tmp:/a:rx":       `unknown option "rx"`,
		"/tmp:a":           "absolute path in the container",
		"/tmp:/":           "below /",
		"/tmp:/a/..":       "below /",
		"/no/such/dir:/a":  "/no/such/dir on the host: no such file or directory",
		"/etc/passwd/x:/a": "not a directory",
	} {
		_, err := parseVolumes([]string{spec})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), spec) {
			t.Errorf("parseVolumes(%q): %v, want it to name the volume and %q", spec, err, want)
		}
	}
}
