package bundle

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.json")
	if _, _, err := Read(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(path, []byte("{}"), 0o640); err != nil {
		t.Fatal(err)
	}
	if text, mode, err := Read(path); string(text) != "{}" || mode != 0o640 || err != nil {
		t.Errorf("got %q, mode %o, %v", text, mode, err)
	}
	for name, create := range map[string]func() error{
		"a FIFO without a writer": func() error { return unix.Mkfifo(path, 0o600) },
		"a directory":             func() error { return os.Mkdir(path, 0o700) },
		"a device without an end": func() error { return os.Symlink("/dev/zero", path) },
	} {
		if err := errors.Join(os.Remove(path), create()); err != nil {
			t.Fatal(err)
		}
		// What waits for ever fails by the time limit of all tests.
		for use, err := range map[string]error{
			"Read":  func() error { _, _, err := Read(path); return err }(),
			"User":  func() error { _, err := User(filepath.Dir(path)); return err }(),
			"Write": Write(filepath.Dir(path), Options{}, nil),
		} {
			if !errors.Is(err, errNotRegular) {
				t.Errorf("%s of %s: %v", use, name, err)
			}
		}
	}
}
