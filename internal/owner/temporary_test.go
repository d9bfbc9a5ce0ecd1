package owner

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// newTemporaryStore returns a Store with temporary records, and them as another process sees them.
func newTemporaryStore(t *testing.T, o TemporaryOptions) (*Store, *Temporary) {
	t.Helper()
	created, err := CreateTemporary(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := created.Close(); err != nil {
			t.Error(err)
		}
	})
	return openTemporaryStore(t, created), created
}

// openTemporaryStore returns a Store as a new worker has it.
func openTemporaryStore(t *testing.T, created *Temporary) *Store {
	t.Helper()
	opened, err := OpenTemporary(created.File())
	if err != nil {
		t.Fatal(err)
	}
	s := NewStore(ID{UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}, nil)
	s.Temporary = opened
	return s
}

func makeFile(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "file")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func setOwner(t *testing.T, s *Store, path string, id ID) {
	t.Helper()
	fd, mode := openPath(t, path)
	if e := s.Set(fd, 0, mode, id); e != 0 {
		t.Fatalf("Set(%s, %v): %v", path, id, e)
	}
}

func TestTemporaryRecordsStayOutOfInodes(t *testing.T) {
	enterProc(t)
	makers := map[string]func(*testing.T, string) string{"file": makeFile, "directory": func(_ *testing.T, dir string) string { return dir }}
	for name, make := range kinds {
		makers[name] = make
	}
	for name, make := range makers {
		t.Run(name, func(t *testing.T) {
			enterProc(t)
			s, created := newTemporaryStore(t, TemporaryOptions{})
			path := make(t, t.TempDir())
			wantOwner(t, s, path, Unchanged, false)
			setOwner(t, s, path, ID{42, 43})
			wantOwner(t, s, path, ID{42, 43}, true)
			setOwner(t, s, path, ID{44, 45})
			wantOwner(t, s, path, ID{44, 45}, true)
			for _, attr := range []string{Xattr, CapabilityXattr} {
				if _, err := unix.Lgetxattr(path, attr, nil); err != unix.ENODATA && err != unix.EOPNOTSUPP && err != unix.EPERM {
					t.Errorf("the inode has %s: %v", attr, err)
				}
			}
			// The next worker knows the record, and another command does not.
			wantOwner(t, openTemporaryStore(t, created), path, ID{44, 45}, true)
			other, _ := newTemporaryStore(t, TemporaryOptions{})
			wantOwner(t, other, path, Unchanged, false)
			// The mapped id needs a record here, as there is one.
			setOwner(t, s, path, s.Mapped)
			wantOwner(t, s, path, s.Mapped, true)
		})
	}
}

// TestTemporaryRecordsOfReusedNumbers makes files until the kernel has reused a number.
func TestTemporaryRecordsOfReusedNumbers(t *testing.T) {
	enterProc(t)
	s, _ := newTemporaryStore(t, TemporaryOptions{})
	dir := t.TempDir()
	numbers := map[uint64]bool{}
	for range 200 {
		path := makeFile(t, dir)
		var st unix.Stat_t
		if err := unix.Stat(path, &st); err != nil {
			t.Fatal(err)
		}
		wantUnrecorded(t, s, path)
		if numbers[st.Ino] {
			return
		}
		numbers[st.Ino] = true
		fd, mode, err := unixOpen(path)
		if err != nil {
			t.Fatal(err)
		}
		if e := s.Set(fd, 0, mode, ID{42, 42}); e != 0 {
			t.Fatal(e)
		}
		unix.Close(fd)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	t.Skip("this file system does not reuse inode numbers")
}

// unixOpen is openPath without a cleanup.
func unixOpen(path string) (fd int, mode uint32, err error) {
	if fd, err = unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0); err != nil {
		return -1, 0, err
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	return fd, st.Mode, err
}

func wantUnrecorded(t *testing.T, s *Store, path string) {
	t.Helper()
	fd, mode, err := unixOpen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if id, ok := s.Get(fd, mode); ok {
		t.Errorf("a new file has the owner %v", id)
	}
}

func TestTemporaryRecordsLeaveStoredOnes(t *testing.T) {
	enterProc(t)
	s, _ := newTemporaryStore(t, TemporaryOptions{})
	stored := NewStore(s.Mapped, nil)
	path := makeFile(t, t.TempDir())
	fd, mode := openPath(t, path)
	if e := stored.Set(fd, 0, mode, ID{42, 43}); e == unix.EROFS {
		t.Skip("this file system stores no records")
	} else if e != 0 {
		t.Fatal(e)
	}
	wantOwner(t, s, path, ID{42, 43}, true)
	setOwner(t, s, path, s.Mapped)
	wantOwner(t, s, path, s.Mapped, true)
	wantOwner(t, stored, path, ID{42, 43}, true)
}

func TestTemporaryRecordsAreSaved(t *testing.T) {
	enterProc(t)
	for name, finish := range map[string]bool{"running": false, "ended": true} {
		t.Run(name, func(t *testing.T) {
			enterProc(t)
			s, created := newTemporaryStore(t, TemporaryOptions{Keep: true})
			dir := t.TempDir()
			moved, removed, device := filepath.Join(dir, "moved"), filepath.Join(dir, "removed"), filepath.Join(dir, "device")
			for _, path := range []string{moved, removed, device} {
				if err := os.WriteFile(path, nil, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			for i, path := range []string{moved, removed} {
				fd, mode, err := unixOpen(path)
				if err != nil {
					t.Fatal(err)
				}
				if e := s.Set(fd, 0, mode, ID{42 + uint32(i), 43}); e != 0 {
					t.Fatal(e)
				}
				unix.Close(fd)
			}
			fd, mode := openPath(t, device)
			if e := s.SetRecord(fd, 0, mode, &Record{ID: ID{0, 6}, Type: unix.S_IFBLK, Rdev: unix.Mkdev(8, 1)}); e != 0 {
				t.Fatal(e)
			}
			if err := os.Remove(removed); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(moved, filepath.Join(dir, "elsewhere")); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(filepath.Join(dir, "elsewhere"), 0o400); err != nil {
				t.Fatal(err)
			}
			if finish {
				s.Finish()
			}
			var got []SavedInode
			for x := range created.Saved() {
				x.Dev, x.Ino = 0, 0
				got = append(got, x)
			}
			want := []SavedInode{
				{Mode: unix.S_IFBLK | 0o644, ID: ID{0, 6}, Nlink: 1, Rdev: unix.Mkdev(8, 1)},
				{Mode: unix.S_IFREG | 0o400, ID: ID{42, 43}, Nlink: 1},
			}
			if !slices.Equal(got, want) {
				t.Errorf("saved %+v, want %+v", got, want)
			}
		})
	}
}

func TestTemporaryRecordsAreLoaded(t *testing.T) {
	enterProc(t)
	dir := t.TempDir()
	path := makeFile(t, dir)
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	created, err := CreateTemporary(TemporaryOptions{Keep: true})
	if err != nil {
		t.Fatal(err)
	}
	defer created.Close()
	loaded := SavedInode{Dev: st.Dev, Ino: st.Ino, Mode: unix.S_IFCHR | 0o400, ID: ID{42, 43}, Nlink: 1, Rdev: unix.Mkdev(5, 1)}
	unseen := SavedInode{Dev: st.Dev, Ino: 1 << 60, Mode: unix.S_IFREG | 0o600, ID: ID{7, 8}, Nlink: 3}
	for _, x := range []SavedInode{loaded, unseen} {
		if err := created.Load(x); err != nil {
			t.Fatal(err)
		}
	}
	s := openTemporaryStore(t, created)
	fd, mode := openPath(t, path)
	var r Record
	if !s.Record(fd, mode, &r) || r.ID != loaded.ID || r.Type != unix.S_IFCHR || r.Rdev != loaded.Rdev || r.NewMode != unix.S_IFREG|0o400 {
		t.Errorf("the record is %+v", r)
	}
	if err := unix.Stat(path, &st); err != nil || st.Mode != unix.S_IFREG|0o400 {
		t.Errorf("the file has mode %o, %v", st.Mode, err)
	}
	// A later change of the mode counts.
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if s.Record(fd, unix.S_IFREG|0o644, &r); r.NewMode != 0 {
		t.Errorf("the mode changes again, to %o", r.NewMode)
	}
	loaded.Mode = unix.S_IFCHR | 0o644
	if got := slices.Collect(created.Saved()); !slices.Equal(got, []SavedInode{unseen, loaded}) {
		t.Errorf("saved %+v, want %+v", got, []SavedInode{unseen, loaded})
	}
}

func TestTemporaryUnknownOwners(t *testing.T) {
	enterProc(t)
	real := ID{1000, 1001}
	s, _ := newTemporaryStore(t, TemporaryOptions{Real: &real})
	path := makeFile(t, t.TempDir())
	wantOwner(t, s, path, real, true)
	setOwner(t, s, path, real)
	wantOwner(t, s, path, real, true)
	setOwner(t, s, path, s.Mapped)
	wantOwner(t, s, path, s.Mapped, true)

	// What belongs to neither the user nor a record belongs to root.
	s, _ = newTemporaryStore(t, TemporaryOptions{})
	s.Mapped = ID{65533, 65533}
	wantOwner(t, s, path, ID{65533, 65533}, true)
}

func TestTemporaryAllocatesNothing(t *testing.T) {
	enterProc(t)
	s, _ := newTemporaryStore(t, TemporaryOptions{})
	fd, mode := openPath(t, makeFile(t, t.TempDir()))
	var r Record
	s.Record(fd, mode, &r)
	uid := uint32(1)
	if n := testing.AllocsPerRun(100, func() {
		s.Set(fd, 0, mode, ID{uid, uid})
		s.Record(fd, mode, &r)
		uid++
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// Whoever truncates the file of a mapping kills all that read it.
func TestTemporaryRecordsCannotBeTruncated(t *testing.T) {
	_, created := newTemporaryStore(t, TemporaryOptions{})
	f := created.File()
	for _, size := range []int64{0, temporarySize / 2, 2 * temporarySize} {
		if err := f.Truncate(size); !errors.Is(err, unix.EPERM) {
			t.Errorf("truncate to %d: %v, want EPERM", size, err)
		}
	}
}
