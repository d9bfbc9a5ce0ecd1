package launch

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMakeMountPoint(t *testing.T) {
	dir := t.TempDir()
	for name, link := range map[string]string{"link": "deep/er/file", "loop": "loop"} {
		if err := os.Symlink(link, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		name    string
		dir     bool
		created string
	}{
		{"d/e/f", true, "d/e/f"},
		{"d/e/f", true, "d/e/f"}, // again
		{"x/y/file", false, "x/y/file"},
		{"link", false, "deep/er/file"}, // at the end of a dangling link
	} {
		if err := makeMountPoint(filepath.Join(dir, tc.name), tc.dir); err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		st, err := os.Lstat(filepath.Join(dir, tc.created))
		if err != nil || st.IsDir() != tc.dir {
			t.Errorf("%s: %v, %v", tc.created, st, err)
		}
	}
	if err := makeMountPoint(filepath.Join(dir, "loop"), false); !errors.Is(err, unix.ELOOP) {
		t.Errorf("a loop of links: %v, want ELOOP", err)
	}
	if err := makeMountPoint(filepath.Join(dir, "x/y/file/z"), false); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("below a file: %v, want ENOTDIR", err)
	}
}

// Several containers of a rootfs may start at once.
func TestMakeMountPointsAtOnce(t *testing.T) {
	for range 100 {
		dir := t.TempDir()
		errs := make(chan error)
		for range 8 {
			go func() { errs <- makeMountPoint(filepath.Join(dir, "etc", "hosts"), false) }()
		}
		for range 8 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
	}
}
