package owner

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// entries returns the names of the entries in dir with their targets.
func entries(t *testing.T, dir string) map[string]string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, e := range list {
		if e.Name() == hintsFile || e.Name() == nodeFile || strings.HasPrefix(e.Name(), "has-") || strings.HasPrefix(e.Name(), bootPrefix) {
			continue
		}
		target, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Errorf("%s is not a symbolic link: %v", e.Name(), err)
		}
		found[e.Name()] = target
	}
	return found
}

func openSidecar(t testing.TB, dir string) *Sidecar {
	t.Helper()
	s, err := OpenSidecar(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unix.Close(s.dir)
		unix.Close(s.volatile)
	})
	return s
}

// keyOf returns the key of the object at path, and the name of its entry.
func keyOf(t *testing.T, path string) (key, string) {
	t.Helper()
	fd, _ := openPath(t, path)
	var k key
	if e := k.fill(fd, sys.Empty, unix.AT_EMPTY_PATH); e != 0 {
		t.Fatalf("key of %s: %v", path, e)
	}
	return k, unix.ByteSliceToString(k.name[:])
}

func TestEntryIsALinkToUIDAndGID(t *testing.T) {
	dir := t.TempDir()
	s := openSidecar(t, dir)
	link := makeSymlink(t, t.TempDir())
	k, name := keyOf(t, link)
	for _, step := range []struct {
		id   ID
		want string
	}{{ID{42, 43}, "42:43"}, {ID{0, Noop}, "0:4294967295"}, {ID{7, 7}, "7:7"}} {
		if e := s.set(&k, &Record{ID: step.id}); e != 0 {
			t.Fatalf("set %v: %v", step.id, e)
		}
		if diff := cmp.Diff(map[string]string{name: step.want}, entries(t, dir)); diff != "" {
			t.Errorf("after setting %v (-want +got):\n%s", step.id, diff)
		}
	}
	for range 2 { // removing an entry that does not exist is no error
		if e := s.remove(&k); e != 0 {
			t.Errorf("remove: %v", e)
		}
	}
	if diff := cmp.Diff(map[string]string{}, entries(t, dir)); diff != "" {
		t.Errorf("after removing (-want +got):\n%s", diff)
	}
}

// A key must be a file name, with room for ".new".
func TestKeyIsAFileName(t *testing.T) {
	for _, path := range []string{"/", "/dev/null", "/proc/self/exe", "/proc/self", t.TempDir()} {
		_, name := keyOf(t, path)
		if name == "" || strings.Contains(name, "/") || len(name+".new\x00") > len(key{}.name) {
			t.Errorf("%s: key %q", path, name)
		}
	}
}

// A process that is killed between the two steps of a replacement leaves NAME.new behind.
// It is ignored, and does not prevent the next replacement.
func TestLeftoverOfACrash(t *testing.T) {
	dir := t.TempDir()
	s := openSidecar(t, dir)
	k, name := keyOf(t, makeSymlink(t, t.TempDir()))
	if e := s.set(&k, &Record{ID: ID{1, 1}}); e != 0 {
		t.Fatal(e)
	}
	if err := os.Symlink("9:9", filepath.Join(dir, name+".new")); err != nil {
		t.Fatal(err)
	}
	var r Record
	if !s.get(&k, &r) || r.ID != (ID{1, 1}) {
		t.Errorf("with the leftover: %v; want 1:1", r.ID)
	}
	if e := s.set(&k, &Record{ID: ID{2, 2}}); e != 0 {
		t.Fatalf("set: %v", e)
	}
	if diff := cmp.Diff(map[string]string{name: "2:2"}, entries(t, dir)); diff != "" {
		t.Errorf("after the next set (-want +got):\n%s", diff)
	}
}

// A damaged entry counts as absent, and does not prevent a new one.
func TestDamagedEntry(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"regular file": func(p string) error { return os.WriteFile(p, []byte("1:1"), 0o600) },
		"FIFO":         func(p string) error { return unix.Mkfifo(p, 0o600) },
		"junk target":  func(p string) error { return os.Symlink("root:root", p) },
		"long target":  func(p string) error { return os.Symlink(strings.Repeat("1", 200)+":1", p) },
		"too long":     func(p string) error { return os.Symlink("0000000001:0000000001:c:0000000001:0000000001", p) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := openSidecar(t, dir)
			k, entry := keyOf(t, makeSymlink(t, t.TempDir()))
			if err := damage(filepath.Join(dir, entry)); err != nil {
				t.Fatal(err)
			}
			var r Record
			if s.get(&k, &r) {
				t.Errorf("the damaged entry is read as %+v", r)
			}
			if e := s.set(&k, &Record{ID: ID{2, 3}}); e != 0 {
				t.Fatalf("set: %v", e)
			}
			if !s.get(&k, &r) || r.ID != (ID{2, 3}) {
				t.Errorf("after a new set: %v", r.ID)
			}
		})
	}
}

// Entries of pipes and terminals of an earlier boot must not be found for new ones with the
// same inode numbers.
func TestRemoveOtherBoots(t *testing.T) {
	dir := t.TempDir()
	old := filepath.Join(dir, bootPrefix+"11111111-2222-3333-4444-555555555555")
	another := filepath.Join(dir, bootPrefix+"66666666-7777-8888-9999-000000000000")
	for path, node := range map[string]string{old: thisNode(), another: "b2 node2\n"} {
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, nodeFile), []byte(node), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, entry := range []string{filepath.Join(old, "a"), filepath.Join(dir, "b")} {
		if err := os.Symlink("1:1", entry); err != nil {
			t.Fatal(err)
		}
	}
	openSidecar(t, dir)
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal(err)
	}
	now := filepath.Join(dir, bootPrefix+strings.TrimSpace(string(boot)))
	if err := os.Symlink("2:2", filepath.Join(now, "c")); err != nil {
		t.Fatal(err)
	}
	openSidecar(t, dir)
	if _, err := os.Lstat(old); !os.IsNotExist(err) {
		t.Errorf("the other boot's directory is still there: %v", err)
	}
	if _, err := os.Lstat(another); err != nil {
		t.Errorf("another machine's directory is gone: %v", err)
	}
	if diff := cmp.Diff(map[string]string{"c": "2:2"}, entries(t, now)); diff != "" {
		t.Errorf("this boot's entries (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"b": "1:1"}, entries(t, dir)); diff != "" {
		t.Errorf("lasting entries (-want +got):\n%s", diff)
	}
}

// The user chooses the directory's name. It must not be used as a pattern.
func TestDirectoryNameIsNotAPattern(t *testing.T) {
	for _, name := range []string{"side[", "side*", "side?", `side\`} {
		t.Run(name, func(t *testing.T) {
			parent := t.TempDir()
			openSidecar(t, filepath.Join(parent, "side1"))
			before, err := filepath.Glob(filepath.Join(parent, "side1", bootPrefix+"*"))
			if err != nil || len(before) != 1 {
				t.Fatalf("%v, %v", before, err)
			}
			s, err := OpenSidecar(filepath.Join(parent, name))
			if err != nil {
				t.Fatalf("cannot be opened: %v", err)
			}
			unix.Close(s.dir)
			unix.Close(s.volatile)
			if _, err := os.Stat(before[0]); err != nil {
				t.Errorf("opening %s has removed another sidecar's entries: %v", name, err)
			}
		})
	}
}

func TestHintsAreShared(t *testing.T) {
	dir := t.TempDir()
	a, b := openSidecar(t, dir), openSidecar(t, dir)
	if a.inUse() || b.inUse() {
		t.Fatal("a new sidecar is in use")
	}
	k, _ := keyOf(t, makeSymlink(t, t.TempDir()))
	if e := b.set(&k, &Record{ID: ID{1, 2}}); e != 0 {
		t.Fatal(e)
	}
	if !a.inUse() {
		t.Error("the other one does not see that there is an entry")
	}
	if !openSidecar(t, dir).inUse() {
		t.Error("a later one does not see that there is an entry")
	}
	var none *Sidecar
	if none.inUse() {
		t.Error("no sidecar is in use")
	}
	if openSidecar(t, t.TempDir()).inUse() {
		t.Error("a sidecar in another directory is in use")
	}
}
