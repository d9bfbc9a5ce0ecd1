package owner

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// enterProc gives the test's thread a working directory of its own, /proc, as the threads
// that use a Store have it. The thread ends with the test, because it stays locked.
func enterProc(t testing.TB) {
	t.Helper()
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		t.Fatalf("unshare(CLONE_FS): %v", err)
	}
	if err := unix.Chdir("/proc"); err != nil {
		t.Fatal(err)
	}
}

// openPath opens path with O_PATH, and returns its mode.
func openPath(t testing.TB, path string) (fd int, mode uint32) {
	t.Helper()
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatalf("open %s: %v", path, err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		t.Fatal(err)
	}
	return fd, st.Mode
}

func makeSymlink(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "symlink")
	if err := os.Symlink("nowhere", path); err != nil {
		t.Fatal(err)
	}
	return path
}

func makeFIFO(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func makeSocket(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "socket")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return path
}

// kinds make the inodes that cannot have user.* attributes.
var kinds = map[string]func(t *testing.T, dir string) string{
	"symlink": makeSymlink, "FIFO": makeFIFO, "socket": makeSocket,
}

// wantOwner checks the owner in the record of the object at path, a symbolic link itself.
func wantOwner(t *testing.T, s *Store, path string, want ID, recorded bool) {
	t.Helper()
	fd, mode := openPath(t, path)
	if got, ok := s.Get(fd, mode); ok != recorded || ok && got != want {
		t.Errorf("Get: %v, %v; want %v, %v", got, ok, want, recorded)
	}
	p, err := unix.BytePtrFromString(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Peek(p, false, true); (got == Found) != recorded {
		t.Errorf("Peek: %v, but recorded is %v", got, recorded)
	}
}

func set(t testing.TB, s *Store, path string, id ID) {
	t.Helper()
	fd, mode := openPath(t, path)
	if e := s.Set(fd, 0, mode, id); e != 0 {
		t.Fatalf("Set %v: %v", id, e)
	}
}

func TestStoreInSidecar(t *testing.T) {
	for name, create := range kinds {
		t.Run(name, func(t *testing.T) {
			enterProc(t)
			dir, side := t.TempDir(), t.TempDir()
			s := NewStore(ID{0, 0}, openSidecar(t, side))
			path := create(t, dir)
			wantOwner(t, s, path, ID{}, false)
			set(t, s, path, s.Mapped) // no record to remove
			wantOwner(t, s, path, ID{}, false)
			if s.sidecar.inUse() {
				t.Error("removing no record has put the sidecar in use")
			}
			for _, id := range []ID{{42, 43}, {Noop, 7}, {0, 5}, {42, 43}} {
				set(t, s, path, id)
				wantOwner(t, s, path, id, true)
			}

			moved := path + ".moved"
			if err := os.Rename(path, moved); err != nil {
				t.Fatal(err)
			}
			wantOwner(t, s, moved, ID{42, 43}, true)
			if err := os.Link(moved, path); err != nil {
				t.Fatal(err)
			}
			wantOwner(t, s, path, ID{42, 43}, true)
			other := create(t, t.TempDir())
			wantOwner(t, s, other, ID{}, false)

			set(t, s, moved, s.Mapped)
			wantOwner(t, s, path, ID{}, false)
			if left := entries(t, side); len(left) != 0 {
				t.Errorf("entries of the mapped owner: %v", left)
			}
		})
	}
}

// A new file often gets the inode number of a file just deleted. It must not inherit that
// file's record.
func TestNewInodeOfTheSameNumber(t *testing.T) {
	for name, create := range kinds {
		t.Run(name, func(t *testing.T) {
			enterProc(t)
			s := NewStore(ID{0, 0}, openSidecar(t, t.TempDir()))
			dir := t.TempDir()
			var last uint64
			again := 0
			for range 100 {
				path := create(t, dir)
				var st unix.Stat_t
				if err := unix.Lstat(path, &st); err != nil {
					t.Fatal(err)
				}
				if st.Ino == last {
					again++
				}
				last = st.Ino
				fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW, 0)
				if err != nil {
					t.Fatal(err)
				}
				if id, ok := s.Get(fd, st.Mode); ok {
					t.Fatalf("a new file has the owner %v of a deleted one", id)
				}
				if e := s.Set(fd, 0, st.Mode, ID{42, 43}); e != 0 {
					t.Fatal(e)
				}
				unix.Close(fd)
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			}
			t.Logf("%d of 100 files had the inode number of the previous one", again)
		})
	}
}

func TestTwoSupervisorsSeeEachOther(t *testing.T) {
	enterProc(t)
	side := t.TempDir()
	a, b := NewStore(ID{}, openSidecar(t, side)), NewStore(ID{}, openSidecar(t, side))
	path := makeSymlink(t, t.TempDir())
	set(t, a, path, ID{1, 2})
	wantOwner(t, b, path, ID{1, 2}, true)
	set(t, b, path, ID{3, 4})
	wantOwner(t, a, path, ID{3, 4}, true)
	set(t, a, path, ID{})
	wantOwner(t, b, path, ID{}, false)
}

// Nothing serialises two supervisors: both may set the same inode at the same time. One of
// them wins, and neither fails.
func TestTwoSupervisorsSetOneInode(t *testing.T) {
	side, dir := t.TempDir(), t.TempDir()
	path := makeSymlink(t, dir)
	k, _ := keyOf(t, path)
	first := openSidecar(t, side)
	if e := first.set(&k, &Record{ID: ID{9, 9}}); e != 0 {
		t.Fatal(e)
	}
	var wg sync.WaitGroup
	for n := range uint32(2) {
		s, k := openSidecar(t, side), k
		wg.Go(func() {
			for range 2000 {
				if e := s.set(&k, &Record{ID: ID{n, n}}); e != 0 {
					t.Errorf("set: %v", e)
					return
				}
			}
		})
	}
	wg.Wait()
	var r Record
	if !first.get(&k, &r) || r.UID != r.GID || r.UID > 1 {
		t.Errorf("%v; want the owner that one of them has set", r.ID)
	}
}

// A pipe has neither a file handle nor a birth time: its entry is volatile.
func TestPipeIsVolatile(t *testing.T) {
	enterProc(t)
	side := t.TempDir()
	s := NewStore(ID{}, openSidecar(t, side))
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(p[0])
	defer unix.Close(p[1])
	if e := s.Set(p[0], 0, unix.S_IFIFO, ID{42, 43}); e != 0 {
		t.Fatal(e)
	}
	if id, ok := s.Get(p[1], unix.S_IFIFO); !ok || id != (ID{42, 43}) {
		t.Errorf("the other end: %v, %v", id, ok)
	}
	if lasting := entries(t, side); len(lasting) != 0 {
		t.Errorf("lasting entries: %v", lasting)
	}
}

func TestWithoutSidecar(t *testing.T) {
	enterProc(t)
	s := NewStore(ID{}, nil)
	var pipe [2]int // cannot have attributes
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	if e := s.Set(pipe[0], 0, unix.S_IFIFO, ID{1, 2}); e != unix.EROFS {
		t.Errorf("Set: %v, want EROFS", e)
	}
	if id, ok := s.Get(pipe[0], unix.S_IFIFO); ok {
		t.Errorf("Get: %v, want nothing", id)
	}
}

func TestPeek(t *testing.T) {
	enterProc(t)
	s := NewStore(ID{}, openSidecar(t, t.TempDir()))
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	peek := func(path string, follow bool, want Presence) {
		t.Helper()
		p, err := unix.BytePtrFromString(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Peek(p, follow, true); got != want {
			t.Errorf("Peek(%s, %v) = %v, want %v", strings.TrimPrefix(path, dir), follow, got, want)
		}
	}
	for range 2 { // with the sidecar unused, then in use
		peek(file, true, None)
		peek(link, true, None)
		peek(link, false, None)
		peek(filepath.Join(dir, "none"), true, Missing)
		peek(filepath.Join(dir, "none"), false, Missing)
		peek(filepath.Join(file, "below"), true, None)
		set(t, s, makeFIFO(t, t.TempDir()), ID{1, 1})
	}
	set(t, s, link, ID{1, 2})
	peek(link, false, Found)
	peek(link, true, None)
	set(t, s, link, ID{})
	setOrSkip(t, s, file, ID{1, 2})
	peek(link, false, None)
	peek(link, true, Found)
	peek("self/root"+file, true, Found) // starts from /proc, like the paths of package target
	if v := bytes.Repeat([]byte{8, 1}, smallValue); unix.Setxattr(file, Xattr, v, 0) == nil {
		peek(file, true, Found) // larger than any buffer
	}
}
