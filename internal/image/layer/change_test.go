package layer

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestChanges lists and writes the same changes from an upper directory, from a copy and from
// layers.
func TestChanges(t *testing.T) {
	low, upper, whole := t.TempDir(), t.TempDir(), t.TempDir()
	t.Chdir("/proc") // package sys expects it
	long := time.Unix(1e9, 0)
	write := func(names ...string) {
		t.Helper()
		for _, name := range names {
			if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, []byte(filepath.Base(name)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, root := range []string{low, whole} {
		write(root+"/d/same", root+"/d/changed", root+"/e/same", root+"/mnt/file")
	}
	write(low+"/d/gone", upper+"/d/new", whole+"/d/new", upper+"/mnt/new", whole+"/mnt/new", upper+"/d/changed")
	for _, root := range []string{upper, whole} {
		if err := os.WriteFile(root+"/d/changed", []byte("longer than before"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, root := range []string{low, upper, whole} {
		var names []string
		if err := filepath.WalkDir(root, func(name string, _ os.DirEntry, err error) error {
			names = append(names, name)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if root == upper {
			dir, err := unix.Open(upper+"/d", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			_, err = makeWhiteout(dir, "gone")
			if err = errors.Join(err, unix.Close(dir)); err != nil {
				t.Skip("no whiteouts in ", upper, ": ", err)
			}
		}
		for _, name := range slices.Backward(names) {
			if err := errors.Join(os.Chmod(name, 0o755), os.Chtimes(name, long, long)); err != nil {
				t.Fatal(err)
			}
		}
	}
	lower, skip := []string{low}, []string{"/mnt"}
	for name, c := range map[string]Changed{
		"upper": {Upper: upper, Lower: lower, Skip: skip}, "copy": {Copy: whole, Lower: lower, Skip: skip},
		"layers": {Layers: []string{upper}, Lower: lower, Skip: skip},
	} {
		var got []string
		if err := c.Each(nil, func(c Change) error {
			got = append(got, string(c.Kind)+" "+c.Path)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		slices.Sort(got)
		if want := []string{"A /d/new", "C /d", "C /d/changed", "D /d/gone"}; !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
		var archive bytes.Buffer
		w := NewWriter(&archive, func(m string) { t.Error(m) })
		if err := errors.Join(w.Changes(&c, nil), w.Close()); err != nil {
			t.Fatal(err)
		}
		var entries []string
		for r := tar.NewReader(&archive); ; {
			h, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if !h.ModTime.Equal(long) {
				t.Errorf("%s: %s has the time %v", name, h.Name, h.ModTime)
			}
			entries = append(entries, h.Name)
		}
		slices.Sort(entries)
		if got, want := strings.Join(entries, " "), "./ d/ d/.wh.gone d/changed d/new"; got != want {
			t.Errorf("%s: the archive has %q, want %q", name, got, want)
		}
	}
}
