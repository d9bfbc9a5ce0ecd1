package cgroup

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A directory of any file system can be locked and removed like that of a cgroup.

// What another process is using stays, and what nobody uses is removed.
func TestRemoveUnused(t *testing.T) {
	base := t.TempDir()
	used, err := makeLocked(filepath.Join(base, prefix+"used"))
	if err != nil {
		t.Fatal(err)
	}
	defer used.Close()
	for _, name := range []string{prefix + "left", outsideName, "other"} {
		if err := os.Mkdir(filepath.Join(base, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	removeUnused(base)
	for name, want := range map[string]bool{prefix + "used": true, prefix + "left": false, outsideName: true, "other": true} {
		if got := exists(filepath.Join(base, name)); got != want {
			t.Errorf("%s exists: %t", name, got)
		}
	}
}

// Remove waits for a process that ends: its locks end one after the other.
func TestRemoveWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), prefix+"ending")
	dir, err := makeLocked(path)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(50*time.Millisecond, func() { dir.Close() })
	if err := Remove(path); err != nil || exists(path) {
		t.Errorf("%v; it exists: %t", err, exists(path))
	}
	if err := Remove(path); err != nil {
		t.Errorf("a second time: %v", err)
	}
}

// Many create and remove unused ones in the same place, and each gets its own.
func TestMakeLockedRaces(t *testing.T) {
	base := t.TempDir()
	done := make(chan error)
	for i := range 8 {
		go func() {
			var err error
			for range 50 {
				path := filepath.Join(base, prefix+string(rune('a'+i)))
				var dir *os.File
				if dir, err = makeLocked(path); err != nil {
					break
				}
				removeUnused(base)
				if !exists(path) {
					err = os.ErrNotExist
				}
				if e := removeLocked(dir); err == nil {
					err = e
				}
				if err != nil {
					break
				}
			}
			done <- err
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
