package owner

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// setOrSkip sets the owner of a regular file or directory, and skips the test if the file
// system does not support user.* attributes, so that the record is in the sidecar.
func setOrSkip(t testing.TB, s *Store, path string, id ID) {
	t.Helper()
	set(t, s, path, id)
	if _, err := unix.Lgetxattr(path, Xattr, nil); err == unix.EOPNOTSUPP {
		t.Skipf("%s: no user.* extended attributes", path)
	}
}

// wantAttribute checks the value of the attribute; nil means that there is none.
func wantAttribute(t *testing.T, path string, want []byte) {
	t.Helper()
	b := make([]byte, maxXattr)
	n, err := unix.Lgetxattr(path, Xattr, b)
	if want == nil {
		if err != unix.ENODATA {
			t.Errorf("the attribute is % x (%v), want none", b[:max(n, 0)], err)
		}
		return
	}
	if err != nil || !bytes.Equal(b[:n], want) {
		t.Errorf("the attribute is % x (%v), want % x", b[:max(n, 0)], err, want)
	}
}

// files make the inodes that can have user.* attributes.
var files = map[string]func(path string) error{
	"file":      func(p string) error { return os.WriteFile(p, nil, 0o600) },
	"directory": func(p string) error { return os.Mkdir(p, 0o700) },
}

func TestStoreInAttribute(t *testing.T) {
	for name, create := range files {
		t.Run(name, func(t *testing.T) {
			enterProc(t)
			side := t.TempDir()
			s := NewStore(ID{0, 5}, openSidecar(t, side))
			path := filepath.Join(t.TempDir(), "f")
			if err := create(path); err != nil {
				t.Fatal(err)
			}
			wantOwner(t, s, path, ID{}, false)
			setOrSkip(t, s, path, ID{42, 43})
			wantAttribute(t, path, []byte{8, 42, 16, 43})
			wantOwner(t, s, path, ID{42, 43}, true)
			set(t, s, path, ID{0, 0}) // not the mapped id: zeros are written
			wantAttribute(t, path, []byte{8, 0, 16, 0})
			wantOwner(t, s, path, ID{0, 0}, true)
			for range 2 { // removing a record that does not exist is no error
				set(t, s, path, s.Mapped)
				wantAttribute(t, path, nil)
				wantOwner(t, s, path, ID{}, false)
			}
			if left := entries(t, side); len(left) != 0 {
				t.Errorf("entries in the sidecar: %v", left)
			}
		})
	}
}

// A descriptor that is open for reading works like an O_PATH one.
func TestStoreThroughAnOpenFile(t *testing.T) {
	enterProc(t)
	s := NewStore(ID{}, nil)
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	setOrSkip(t, s, path, ID{1, 1})
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if e := s.Set(fd, 0, unix.S_IFREG, ID{42, 43}); e != 0 {
		t.Fatal(e)
	}
	wantAttribute(t, path, []byte{8, 42, 16, 43})
	if id, ok := s.Get(fd, unix.S_IFREG); !ok || id != (ID{42, 43}) {
		t.Errorf("Get: %v, %v", id, ok)
	}
	if e := s.Set(fd, 0, unix.S_IFREG, ID{}); e != 0 {
		t.Fatal(e)
	}
	wantAttribute(t, path, nil)
}

// A malformed value may belong to another program: it stays, counts as absent, and is
// reported.
func TestMalformedAttribute(t *testing.T) {
	for name, value := range map[string][]byte{
		"text":       []byte("42:43"),
		"truncated":  {8},
		"unfinished": {8, 0x80},
		"type":       {8, 42, 16, 43, 0xc0, 0x3e, 0x80, 0x80, 2}, // S_IFREG
	} {
		t.Run(name, func(t *testing.T) {
			enterProc(t)
			s := NewStore(ID{}, nil)
			path := filepath.Join(t.TempDir(), "f")
			var reports []string
			s.Report = func(file string, _ []byte) { reports = append(reports, file) }
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := unix.Setxattr(path, Xattr, value, 0); err != nil {
				t.Skip(err)
			}
			fd, mode := openPath(t, path)
			for n := range uint64(2) {
				if s.Malformed() != n {
					t.Errorf("Malformed: %d, want %d", s.Malformed(), n)
				}
				if id, ok := s.Get(fd, mode); ok {
					t.Errorf("read as %v", id)
				}
			}
			wantAttribute(t, path, value)
			set(t, s, path, ID{42, 43})
			wantAttribute(t, path, []byte{8, 42, 16, 43})
			wantOwner(t, s, path, ID{42, 43}, true)
			// Set has read it, too.
			if s.Malformed() != 3 {
				t.Errorf("Malformed: %d, want 3", s.Malformed())
			}
			if diff := cmp.Diff([]string{path, path, path}, reports); diff != "" {
				t.Errorf("reported (-want +got):\n%s", diff)
			}
		})
	}
}

// proto3 encodes the owner 0:0 as an empty value.
func TestEmptyAttribute(t *testing.T) {
	enterProc(t)
	s := NewStore(ID{5, 5}, nil)
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setxattr(path, Xattr, nil, 0); err != nil {
		t.Skip(err)
	}
	wantOwner(t, s, path, ID{0, 0}, true)
	if s.Malformed() != 0 {
		t.Error("an empty value counts as malformed")
	}
}

// A stat(2) of each file in a tree makes these calls.
func TestLookUpsAllocateNothing(t *testing.T) {
	enterProc(t)
	s := NewStore(ID{}, openSidecar(t, t.TempDir()))
	dir := t.TempDir()
	plain, owned := filepath.Join(dir, "plain"), filepath.Join(dir, "owned")
	for _, path := range []string{plain, owned} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set(t, s, owned, ID{1, 2})
	link := makeSymlink(t, dir)
	for _, used := range []bool{false, true} {
		if used {
			set(t, s, link, ID{1, 2})
		}
		for _, path := range []string{plain, owned, link} {
			fd, mode := openPath(t, path)
			p, err := unix.BytePtrFromString(path)
			if err != nil {
				t.Fatal(err)
			}
			if n := testing.AllocsPerRun(100, func() {
				s.Peek(p, false, true)
				s.Get(fd, mode)
			}); n != 0 {
				t.Errorf("%s, with entries in the sidecar: %v: %v allocations, want none", filepath.Base(path), used, n)
			}
		}
	}
}

// An accelerated process records the owner of a file between the steps of the supervisor, which
// must not undo that.
func TestOwnerRecordedMeanwhile(t *testing.T) {
	s := NewStore(ID{0, 0}, nil)
	for name, write := range map[string]func(fd int, dev uint64, mode uint32, r *Record) unix.Errno{"SetRecord": s.SetRecord, "SetNew": s.SetNew} {
		t.Run(name, func(t *testing.T) {
			enterProc(t)
			path := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			fd, mode := openPath(t, path)
			var r Record
			if s.Record(fd, mode, &r) {
				t.Fatal("there is a record")
			}
			setOrSkip(t, s, path, ID{42, 43})
			r.Access = []byte("an ACL")
			if name == "SetNew" {
				r.ID = ID{7, 7} // the creator's
			}
			if e := write(fd, 0, mode, &r); e != 0 {
				t.Fatal(e)
			}
			var got Record
			if !s.Record(fd, mode, &got) || got.ID != (ID{42, 43}) || r.ID != got.ID || string(got.Access) != "an ACL" {
				t.Errorf("the record is %v with the ACL %q; %v has been written", got.ID, got.Access, r.ID)
			}
		})
	}
}
