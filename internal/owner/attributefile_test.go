package owner

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// attributesOf calls Attributes, and returns the path as a string.
func attributesOf(t *testing.T, s *Store, path string, create bool) (string, unix.Errno) {
	t.Helper()
	fd, mode := openPath(t, path)
	var p AttributePath
	at, e := s.Attributes(fd, mode, create, &p)
	if e != 0 {
		return "", e
	}
	if at != &p[0] {
		t.Errorf("the path is not in the buffer")
	}
	return unix.BytePtrToString(at), 0
}

// A special file has its ACL in the sidecar, and its owner in the inode.
func TestACLOfSpecialFile(t *testing.T) {
	for name, create := range map[string]func(*testing.T, string) string{"fifo": makeFIFO, "socket": makeSocket} {
		t.Run(name, func(t *testing.T) {
			enterProc(t)
			s := NewStore(ID{}, openSidecar(t, t.TempDir()))
			path := create(t, t.TempDir())
			var r Record
			for _, size := range []int{4, 44, smallValue, 1200} {
				want := Record{ID: ID{1, 2}, Access: bytes.Repeat([]byte{7}, size)}
				setRecord(t, s, path, want)
				wantRecord(t, s, path, &r, &want)
				set(t, s, path, ID{3, 4})
				want.ID = ID{3, 4}
				wantRecord(t, s, path, &r, &want)
				fd, mode := openPath(t, path)
				if done, e := s.SetInInode(fd, 0, mode, ID{}); !done || e != 0 {
					t.Errorf("SetInInode: %v, %v", done, e)
				}
				want.ID = ID{}
				wantRecord(t, s, path, &r, &want)
			}
			r.Access = nil
			setRecord(t, s, path, r)
			wantRecord(t, s, path, &r, &Record{})

			// Without a sidecar.
			setRecord(t, s, path, Record{ID: ID{1, 2}, Access: []byte{7}})
			wantRecord(t, NewStore(ID{}, nil), path, &r, &Record{ID: ID{1, 2}})
			fd, mode := openPath(t, create(t, t.TempDir()))
			if e := NewStore(ID{}, nil).SetRecord(fd, 0, mode, &Record{Access: []byte{7}}); e != unix.EROFS {
				t.Errorf("without a sidecar: %v, want EROFS", e)
			}
		})
	}
}

func TestAttributes(t *testing.T) {
	enterProc(t)
	dir, side := t.TempDir(), t.TempDir()
	s := NewStore(ID{}, openSidecar(t, side))
	if at, e := attributesOf(t, s, dir, false); e != 0 || !strings.HasPrefix(at, "self/fd/") {
		t.Errorf("of a directory: %q, %v", at, e)
	}
	if n := entries(t, side); len(n) != 0 {
		t.Errorf("the sidecar has %v", n)
	}
	path := makeSymlink(t, dir)
	set(t, s, path, ID{5, 6})
	if at, e := attributesOf(t, s, path, false); e != unix.ENODATA {
		t.Errorf("of a link without attributes: %q, %v", at, e)
	}
	at, e := attributesOf(t, s, path, true)
	if e != 0 {
		t.Fatal(e)
	}
	if err := unix.Setxattr(at, Xattr+".trusted.a", []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
	// They stay with the link, and so does the owner.
	moved := filepath.Join(dir, "moved")
	if err := os.Rename(path, moved); err != nil {
		t.Fatal(err)
	}
	wantOwner(t, s, moved, ID{5, 6}, true)
	set(t, s, moved, ID{})
	wantOwner(t, s, moved, ID{}, true)
	if again, e := attributesOf(t, s, moved, false); again[strings.LastIndexByte(again, '/'):] != at[strings.LastIndexByte(at, '/'):] {
		t.Errorf("%q, %v; want %q", again, e, at)
	}
	value := make([]byte, 8)
	if n, err := unix.Getxattr(at, Xattr+".trusted.a", value); err != nil || string(value[:n]) != "1" {
		t.Errorf("%q, %v", value[:max(n, 0)], err)
	}
	if _, e := attributesOf(t, NewStore(ID{}, nil), moved, true); e != unix.EROFS {
		t.Errorf("without a sidecar: %v, want EROFS", e)
	}

	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	var p AttributePath
	for _, create := range []bool{false, true} {
		if _, e := s.Attributes(pipe[0], unix.S_IFIFO, create, &p); e != unix.EOPNOTSUPP {
			t.Errorf("of a pipe: %v, want EOPNOTSUPP", e)
		}
	}
}

// An attribute file outlives the device number of its disk, and does not go to another inode.
func TestAttributesOfAnotherDeviceNumber(t *testing.T) {
	enterProc(t)
	side := t.TempDir()
	s := NewStore(ID{}, openSidecar(t, side))
	dir := t.TempDir()
	path, other := makeSymlink(t, dir), makeFIFO(t, dir)
	if k, _ := keyOf(t, path); k.isWeak() {
		t.Skip("files here have no birth time, or no handle")
	}
	at, e := attributesOf(t, s, path, true)
	if e != 0 {
		t.Fatal(e)
	}
	if err := unix.Setxattr(at, Xattr+".trusted.a", []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
	name := filepath.Base(at)
	earlier := "fe00042" + name[strings.IndexByte(name, '-'):]
	if err := os.Rename(filepath.Join(side, name), filepath.Join(side, earlier)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		at, e = attributesOf(t, s, path, false)
		if e != 0 {
			t.Fatal(e)
		}
		value := make([]byte, 8)
		if n, err := unix.Getxattr(at, Xattr+".trusted.a", value); err != nil || string(value[:n]) != "1" {
			t.Errorf("%q, %v", value[:max(n, 0)], err)
		}
	}
	// What changes does not change for the inode of the same disk elsewhere.
	if err := unix.Removexattr(at, Xattr+".trusted.a"); err != nil {
		t.Fatal(err)
	}
	if n, err := unix.Getxattr(filepath.Join(side, earlier), Xattr+".trusted.a", nil); err != nil || n != 1 {
		t.Errorf("%d, %v", n, err)
	}
	at, e = attributesOf(t, s, other, true)
	if e != 0 {
		t.Fatal(e)
	}
	if n, err := unix.Getxattr(at, Xattr+".trusted.a", nil); err != unix.ENODATA {
		t.Errorf("of another inode: %d, %v", n, err)
	}
}

func TestRootIDMark(t *testing.T) {
	if !IsRootIDMark(RootIDMark) || !IsCapabilityRecord(RootIDMark) || HasAttributeFile(RootIDMark) {
		t.Errorf("% x", RootIDMark)
	}
	r := Record{ID: ID{1, 2}, attributes: true}
	v, _ := r.capabilityValue()
	if IsRootIDMark(v[:]) || !HasAttributeFile(v[:]) {
		t.Errorf("% x", v)
	}
	if r.parseCapability(RootIDMark) {
		t.Error("the mark is a record")
	}
}

func TestSecurityInUse(t *testing.T) {
	side := t.TempDir()
	a, b := NewStore(ID{}, openSidecar(t, side)), NewStore(ID{}, openSidecar(t, side))
	none := NewStore(ID{}, nil)
	if a.SecurityInUse() || none.SecurityInUse() {
		t.Error("in use before NoteSecurity")
	}
	a.NoteSecurity()
	none.NoteSecurity()
	if !a.SecurityInUse() || !b.SecurityInUse() || !none.SecurityInUse() {
		t.Error("not in use after NoteSecurity")
	}
}
