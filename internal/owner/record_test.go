package owner

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// wantRecord checks the record of the object at path; nil means that there is none.
func wantRecord(t *testing.T, s *Store, path string, r, want *Record) {
	t.Helper()
	fd, mode := openPath(t, path)
	ok := s.Record(fd, mode, r)
	if want == nil {
		if want = (&Record{ID: Unchanged}); ok {
			t.Error("there is a record")
		}
	} else if !ok {
		t.Error("there is no record")
	}
	if diff := cmp.Diff(*want, *r, unexported); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
}

func setRecord(t testing.TB, s *Store, path string, r Record) {
	t.Helper()
	fd, mode := openPath(t, path)
	if e := s.SetRecord(fd, 0, mode, &r); e != 0 {
		t.Fatalf("SetRecord %+v: %v", r, e)
	}
}

// A change of the owner keeps the rest of a record, in the attribute and in the sidecar. A
// record that becomes empty is removed.
func TestOwnerAndDeviceOfOneRecord(t *testing.T) {
	for name, create := range map[string]func(t *testing.T, dir string) string{
		"attribute": func(t *testing.T, dir string) string {
			path := filepath.Join(dir, "f")
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		},
		"sidecar": makeSocket,
	} {
		t.Run(name, func(t *testing.T) {
			enterProc(t)
			dir, side := t.TempDir(), t.TempDir()
			s := NewStore(ID{}, openSidecar(t, side))
			path := create(t, dir)
			var r Record
			wantRecord(t, s, path, &r, nil)
			device := Record{Type: unix.S_IFCHR, Rdev: 0x103}
			setRecord(t, s, path, device)
			wantRecord(t, s, path, &r, &device)
			for _, id := range []ID{{42, 43}, {0, 7}, s.Mapped} {
				set(t, s, path, id)
				device.ID = id
				wantRecord(t, s, path, &r, &device)
				wantOwner(t, s, path, id, true)
			}
			moved := path + ".moved"
			if err := os.Rename(path, moved); err != nil {
				t.Fatal(err)
			}
			wantRecord(t, s, moved, &r, &device)
			setRecord(t, s, moved, Record{ID: ID{1, 2}})
			wantRecord(t, s, moved, &r, &Record{ID: ID{1, 2}})
			setRecord(t, s, moved, Record{ID: Unchanged})
			wantRecord(t, s, moved, &r, nil)
			if _, err := unix.Lgetxattr(moved, Xattr, nil); err == nil || len(entries(t, side)) != 0 {
				t.Error("an empty record is not removed")
			}
		})
	}
}

// ACLs may be as long as an attribute.
func TestACLs(t *testing.T) {
	enterProc(t)
	s := NewStore(ID{}, openSidecar(t, t.TempDir()))
	dir := filepath.Join(t.TempDir(), "d")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	setOrSkip(t, s, dir, ID{1, 2})
	var r Record
	for _, size := range []int{4, 44, smallValue - 20, smallValue, 1200} {
		want := Record{ID: ID{1, 2}, Access: bytes.Repeat([]byte{7}, size), Default: bytes.Repeat([]byte{9}, size)}
		setRecord(t, s, dir, want)
		wantRecord(t, s, dir, &r, &want)
		wantOwner(t, s, dir, ID{1, 2}, true)
		set(t, s, dir, ID{3, 4})
		want.ID = ID{3, 4}
		wantRecord(t, s, dir, &r, &want)
		set(t, s, dir, s.Mapped)
		want.ID = s.Mapped
		wantRecord(t, s, dir, &r, &want)
		setRecord(t, s, dir, Record{ID: ID{1, 2}})
	}
}

// A record can be changed and written back, although its ACLs point into its own buffer.
func TestRecordIsWrittenBack(t *testing.T) {
	enterProc(t)
	s := NewStore(ID{}, nil)
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	setOrSkip(t, s, path, ID{1, 2})
	setRecord(t, s, path, Record{ID: ID{1, 2}, Access: []byte("access"), Default: []byte("default")})
	var r Record
	fd, mode := openPath(t, path)
	s.Record(fd, mode, &r)
	r.UID, r.Access = 70000, nil
	if e := s.SetRecord(fd, 0, mode, &r); e != 0 {
		t.Fatal(e)
	}
	wantRecord(t, s, path, &r, &Record{ID: ID{70000, 2}, Default: []byte("default")})
}

// Only an inode that can be a placeholder is shown as a device.
func TestRecordMustFitTheFile(t *testing.T) {
	enterProc(t)
	s := NewStore(ID{}, openSidecar(t, t.TempDir()))
	dir := t.TempDir()
	device := Record{Type: unix.S_IFCHR, Rdev: 0x103}
	if err := unix.Setxattr(dir, Xattr, device.Append(nil), 0); err != nil {
		t.Skip(err)
	}
	fifo := makeFIFO(t, dir)
	k, _ := keyOf(t, fifo)
	if e := s.sidecar.set(&k, &device); e != 0 {
		t.Fatal(e)
	}
	var r Record
	for n, path := range []string{dir, fifo} {
		wantRecord(t, s, path, &r, nil)
		if s.Malformed() != uint64(n+1) {
			t.Errorf("%s: not reported", filepath.Base(path))
		}
	}
	set(t, s, dir, ID{1, 2})
	wantRecord(t, s, dir, &r, &Record{ID: ID{1, 2}})
}

func TestRecordAllocatesNothing(t *testing.T) {
	enterProc(t)
	s := NewStore(ID{}, openSidecar(t, t.TempDir()))
	dir := t.TempDir()
	file := filepath.Join(dir, "f")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	socket := makeSocket(t, dir)
	device := Record{ID: ID{1, 2}, Type: unix.S_IFCHR, Rdev: 0x103}
	setRecord(t, s, file, device)
	setRecord(t, s, socket, device)
	var r Record
	for _, path := range []string{file, socket} {
		fd, mode := openPath(t, path)
		s.Record(fd, mode, &r)
		id := uint32(0)
		if n := testing.AllocsPerRun(100, func() {
			s.Record(fd, mode, &r)
			id++
			s.Set(fd, 0, mode, ID{id, id})
		}); n != 0 {
			t.Errorf("%s: %v allocations, want none", filepath.Base(path), n)
		}
	}
}
