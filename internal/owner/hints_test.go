package owner

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// hintsPath returns the path of the hints of the sidecar in dir.
func hintsPath(t *testing.T, dir string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, bootPrefix+"*", hintsFile))
	if err != nil || len(found) != 1 {
		t.Fatalf("%v, %v", found, err)
	}
	return found[0]
}

// entry creates a link with an entry of the sidecar s, and returns its key.
func entry(t *testing.T, s *Sidecar) key {
	t.Helper()
	k, _ := keyOf(t, makeSymlink(t, t.TempDir()))
	if e := s.set(&k, &Record{ID: ID{7, 8}}); e != 0 {
		t.Fatal(e)
	}
	return k
}

// Whatever somebody does to the file, records are found, and no process dies. The file has
// several pages.
func TestDamagedHints(t *testing.T) {
	tests := []struct {
		name   string
		damage func(path string) error
	}{
		{"truncated", func(path string) error { return os.Truncate(path, 0) }},
		{"cut short", func(path string) error { return os.Truncate(path, 4096) }},
		{"zeros", func(path string) error {
			if err := os.Truncate(path, 0); err != nil {
				return err
			}
			return os.Truncate(path, 1<<20)
		}},
		{"other bytes", func(path string) error { return os.WriteFile(path, []byte("other bytes"), 0o600) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			running, empty := openSidecar(t, dir), openSidecar(t, dir)
			k := entry(t, running)
			if err := tt.damage(hintsPath(t, dir)); err != nil {
				t.Fatal(err)
			}
			for name, s := range map[string]*Sidecar{"running": running, "another": empty, "later": openSidecar(t, dir)} {
				if !s.inUse() || !s.hints.mayHaveInode(k.numbers[1]) {
					t.Errorf("%s: the entry is not found", name)
				}
			}
			// What comes afterwards is found, too.
			k = entry(t, empty)
			for name, s := range map[string]*Sidecar{"running": running, "another": empty, "later": openSidecar(t, dir)} {
				if !s.inUse() || !s.hints.mayHaveInode(k.numbers[1]) {
					t.Errorf("%s: a later entry is not found", name)
				}
			}
			if err := running.Settle(); err != nil {
				t.Error(err)
			}
			if later := openSidecar(t, dir); !later.inUse() || !later.hints.mayHaveInode(k.numbers[1]) {
				t.Error("settled: the entry is not found")
			}
		})
	}
}

// Without room for the file, everything is looked up.
func TestHintsWithoutFile(t *testing.T) {
	dir := t.TempDir()
	k := entry(t, openSidecar(t, dir))
	path := hintsPath(t, dir)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	s := openSidecar(t, dir)
	if !s.inUse() || !s.hints.mayHaveInode(k.numbers[1]) {
		t.Error("the entry is not found")
	}
	if e := s.set(&k, &Record{ID: ID{9, 9}}); e != 0 {
		t.Error(e)
	}
	if err := s.Settle(); err != nil || !s.inUse() {
		t.Errorf("settled: %v, in use: %v", err, s.inUse())
	}
}

// The hints end with the boot, but what they say about placeholders of devices does not.
func TestMarkersOutliveBoots(t *testing.T) {
	enterProc(t)
	dir := t.TempDir()
	s := NewStore(ID{}, openSidecar(t, dir))
	if s.DevicesInUse() || s.SecurityInUse() {
		t.Fatal("in use at the beginning")
	}
	fd, mode := openPath(t, makeFIFO(t, t.TempDir()))
	if e := s.SetRecord(fd, 0, mode, &Record{ID: ID{1, 2}, Type: unix.S_IFCHR, Rdev: 5}); e != 0 {
		t.Fatal(e)
	}
	s.NoteSecurity()
	if err := os.RemoveAll(filepath.Dir(hintsPath(t, dir))); err != nil {
		t.Fatal(err)
	}
	s = NewStore(ID{}, openSidecar(t, dir))
	if !s.DevicesInUse() || !s.SecurityInUse() {
		t.Errorf("after a reboot: devices %v, security %v", s.DevicesInUse(), s.SecurityInUse())
	}
	if s.SidecarInUse() {
		t.Error("there are no entries")
	}
}

// So is what the file "used" of earlier versions says.
func TestImportUsed(t *testing.T) {
	dir := t.TempDir()
	used := make([]byte, 4096)
	used[4] = 1
	if err := os.WriteFile(filepath.Join(dir, "used"), used, 0o600); err != nil {
		t.Fatal(err)
	}
	s := NewStore(ID{}, openSidecar(t, dir))
	if !s.DevicesInUse() || s.SecurityInUse() {
		t.Errorf("devices %v, security %v", s.DevicesInUse(), s.SecurityInUse())
	}
	if _, err := os.Lstat(filepath.Join(dir, "used")); !os.IsNotExist(err) {
		t.Errorf("the file is still there: %v", err)
	}
}

func BenchmarkHint(b *testing.B) {
	s := openSidecar(b, b.TempDir())
	for b.Loop() {
		if s.inUse() {
			b.Fatal("in use")
		}
	}
}

// A marker is on the disk before noteLasting returns; one that exists is not written again.
func TestMarkersAreDurable(t *testing.T) {
	var synced []string
	fsync = func(fd int) error {
		name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
		synced = append(synced, name)
		return errors.Join(err, unix.Fsync(fd))
	}
	defer func() { fsync = unix.Fsync }()
	side := t.TempDir()
	for range 2 {
		NewStore(ID{}, openSidecar(t, side)).noteLasting(hintDevices)
	}
	if want := []string{filepath.Join(side, "has-devices"), side}; !slices.Equal(synced, want) {
		t.Errorf("fsync of %q, want %q", synced, want)
	}
}
