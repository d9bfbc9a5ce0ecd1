package owner

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// names returns how many entries and attribute files a sidecar has.
func names(t *testing.T, s *Sidecar) int {
	t.Helper()
	list, err := s.Entries()
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// eventually waits until a sidecar has want entries. Events of the kernel come a moment later.
func eventually(t *testing.T, s *Sidecar, want int) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for names(t, s) != want {
		if time.Now().After(deadline) {
			t.Fatalf("the sidecar has %d entries, want %d", names(t, s), want)
		}
		time.Sleep(time.Millisecond)
	}
}

// record makes the sidecar have an entry and an attribute file of the FIFO at path.
func record(t *testing.T, s *Store, path string) {
	t.Helper()
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd) // not at the end of the test: the inode must go before
	var p AttributePath
	if _, e := s.Attributes(fd, unix.S_IFIFO, true, &p); e != 0 {
		t.Skip("no capability attributes:", e)
	}
	var k key
	if e := k.fill(fd, sys.Empty, unix.AT_EMPTY_PATH); e != 0 {
		t.Fatal(e)
	}
	if e := s.sidecar.set(&k, &Record{ID: ID{7, 8}}); e != 0 {
		t.Fatal(e)
	}
}

// settle waits until the sidecar has handled all events so far: those of an inode that is
// removed now come last.
func settle(t *testing.T, s *Store, others int) {
	t.Helper()
	marker := makeFIFO(t, t.TempDir())
	record(t, s, marker)
	s.ForgetPath(&append([]byte(marker), 0)[0])
	if err := os.Remove(marker); err != nil {
		t.Fatal(err)
	}
	eventually(t, s.sidecar, others)
}

// The sidecar forgets an inode when its name and the last descriptor are gone, and not before.
func TestForget(t *testing.T) {
	enterProc(t)
	s := NewStore(ID{}, openSidecar(t, t.TempDir()))
	if s.Forgets() {
		t.Error("an empty sidecar has something to forget")
	}
	path, other := makeFIFO(t, t.TempDir()), makeFIFO(t, t.TempDir())
	record(t, s, path)
	record(t, s, other)
	if !s.Forgets() {
		t.Error("the sidecar has nothing to forget")
	}
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	s.ForgetPath(&append([]byte(path), 0)[0])
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	settle(t, s, 4)
	if _, ok := s.Get(fd, unix.S_IFIFO); !ok {
		t.Error("the record is gone while the file is open")
	}
	unix.Close(fd)
	eventually(t, s.sidecar, 2)
	wantOwner(t, s, other, Unchanged, true)
}

// The kernel does not say when an inode with several names is gone.
func TestForgetLinked(t *testing.T) {
	enterProc(t)
	s := NewStore(ID{}, openSidecar(t, t.TempDir()))
	dir := t.TempDir()
	path, hard := makeFIFO(t, dir), filepath.Join(dir, "hard")
	record(t, s, path)
	if err := os.Link(path, hard); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for _, name := range []string{path, hard} {
		s.ForgetPath(&append([]byte(name), 0)[0])
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		settle(t, s, 2)
	}
}

// A removal that fails leaves a watch, and the record.
func TestForgetAfterFailure(t *testing.T) {
	enterProc(t)
	s := NewStore(ID{}, openSidecar(t, t.TempDir()))
	path := makeFIFO(t, t.TempDir())
	record(t, s, path)
	for range 2 {
		s.ForgetPath(&append([]byte(path), 0)[0])
	}
	if n := names(t, s.sidecar); n != 2 {
		t.Errorf("%d entries, want 2", n)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	eventually(t, s.sidecar, 0)
}

// Where a new inode may have the key of an old one, what has been recorded since stays.
func TestForgetWeakKey(t *testing.T) {
	enterProc(t)
	s := openSidecar(t, t.TempDir())
	k, _ := keyOf(t, makeFIFO(t, t.TempDir()))
	k.numbers[2] = 0
	for _, again := range []bool{false, true} {
		if e := s.set(&k, &Record{ID: ID{1, 2}}); e != 0 {
			t.Fatal(e)
		}
		r := removal{key: k, entry: s.entryStat(&k)}
		want := 0
		if again {
			want = 1
			if e := s.set(&k, &Record{ID: ID{3, 4}}); e != 0 {
				t.Fatal(e)
			}
		}
		s.forget(&r)
		if n := names(t, s); n != want {
			t.Errorf("recorded again: %v; %d entries, want %d", again, n, want)
		}
	}
}

// What the sidecar does not know costs no more than one system call, and no memory.
func TestForgetUnknown(t *testing.T) {
	enterProc(t)
	s := NewStore(ID{}, openSidecar(t, t.TempDir()))
	dir := t.TempDir()
	record(t, s, makeFIFO(t, dir))
	k, _ := keyOf(t, dir)
	if s.hints.mayHaveInode(k.numbers[1]) {
		t.Skip("the filter does not tell the two inodes apart")
	}
	path := append([]byte(dir), 0)
	if n := testing.AllocsPerRun(100, func() { s.ForgetPath(&path[0]) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if s.removals.started {
		t.Error("an unknown inode is watched")
	}
}

// The filter has the entries of versions without it.
func TestFilterOfEarlierEntries(t *testing.T) {
	enterProc(t)
	dir := t.TempDir()
	path := makeSymlink(t, t.TempDir())
	_, name := keyOf(t, path)
	if err := os.Symlink("7:8", filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "used"), []byte{1, 0, 0, 0}, 0o600); err != nil {
		t.Fatal(err)
	}
	s := NewStore(ID{}, openSidecar(t, dir))
	wantOwner(t, s, path, ID{7, 8}, true)
}
