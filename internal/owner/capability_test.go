package owner

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

func TestCapabilityValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Record{ID: ID{UID: rapid.Uint32().Draw(t, "uid"), GID: rapid.Uint32().Draw(t, "gid")}}
		if r.Type = rapid.SampledFrom([]uint32{0, unix.S_IFCHR, unix.S_IFBLK}).Draw(t, "type"); r.Type != 0 {
			r.Rdev = uint64(rapid.Uint32().Draw(t, "rdev"))
		}
		value, ok := r.capabilityValue()
		if !ok {
			t.Fatalf("no room for %+v", r)
		}
		var parsed Record
		if !parsed.parseCapability(value[:]) {
			t.Fatalf("% x is no record", value)
		}
		if parsed.ID != r.ID || parsed.Type != r.Type || parsed.Rdev != r.Rdev {
			t.Errorf("%+v comes back as %+v", r, parsed)
		}
	})
}

// What has no room for a record, and what is none.
func TestCapabilityValueRejects(t *testing.T) {
	for name, r := range map[string]Record{
		"a large device":  {Type: unix.S_IFCHR, Rdev: 1 << 40},
		"a larger number": {Type: unix.S_IFBLK, Rdev: 1 << 32},
	} {
		if _, ok := r.capabilityValue(); ok {
			t.Errorf("%s: there is room", name)
		}
	}
	r := Record{ID: ID{UID: 1, GID: 2}}
	valid, _ := r.capabilityValue()
	change := func(at int, to byte) []byte {
		v := valid
		v[at] = to
		return v[:]
	}
	for name, value := range map[string][]byte{
		"empty":                  nil,
		"short":                  valid[:19],
		"long":                   append(valid[:], 0),
		"another version":        change(3, 3),
		"effective capabilities": change(0, 1),
		"no magic":               change(19, 0),
		"an unknown type":        change(16, 'x'),
		"a number without type":  change(12, 1),
		"cap_net_raw":            {0, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
	} {
		var parsed Record
		if parsed.parseCapability(value) {
			t.Errorf("%s is a record: %+v", name, parsed)
		}
	}
}

// Records of special files stay with the inode, and the sidecar stays unused.
func TestRecordInInode(t *testing.T) {
	enterProc(t)
	dir, side := t.TempDir(), t.TempDir()
	s := NewStore(ID{}, openSidecar(t, side))
	link := makeSymlink(t, dir)
	fd, mode := openPath(t, link)
	if e := s.Set(fd, 0, mode, ID{42, 43}); e != 0 {
		t.Fatal(e)
	}
	moved, hard := filepath.Join(dir, "moved"), filepath.Join(dir, "hard")
	if err := os.Link(link, hard); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link, moved); err != nil {
		t.Fatal(err)
	}
	other := NewStore(ID{}, openSidecar(t, t.TempDir()))
	for _, path := range []string{moved, hard} {
		wantOwner(t, other, path, ID{42, 43}, true)
	}
	if n := entries(t, side); len(n) != 0 || s.SidecarInUse() {
		t.Errorf("the sidecar has %v", n)
	}
	if done, e := s.SetInInode(fd, 0, mode, ID{44, 43}); !done || e != 0 {
		t.Errorf("SetInInode: %v, %v", done, e)
	}
	wantOwner(t, other, moved, ID{44, 43}, true)
	// What says no more than the kernel goes.
	if done, e := s.SetInInode(fd, 0, mode, ID{}); !done || e != 0 {
		t.Errorf("SetInInode of the mapped id: %v, %v", done, e)
	}
	wantOwner(t, other, moved, ID{}, false)
	if done, _ := s.SetInInode(fd, 0, mode, ID{}); done {
		t.Error("SetInInode has done what is the kernel's to do")
	}
}

// An entry of the sidecar is read, and moves into the inode when the owner changes.
func TestSidecarMovesIntoInode(t *testing.T) {
	enterProc(t)
	dir, side := t.TempDir(), t.TempDir()
	s := NewStore(ID{}, openSidecar(t, side))
	path := makeSymlink(t, dir)
	fd, mode := openPath(t, path)
	var k key
	if e := k.fill(fd, &[]byte{0}[0], unix.AT_EMPTY_PATH); e != 0 {
		t.Fatal(e)
	}
	if e := s.sidecar.set(&k, &Record{ID: ID{7, 8}}); e != 0 {
		t.Fatal(e)
	}
	wantOwner(t, s, path, ID{7, 8}, true)
	if e := s.Set(fd, 0, mode, ID{9, 8}); e != 0 {
		t.Fatal(e)
	}
	wantOwner(t, s, path, ID{9, 8}, true)
	if left := entries(t, side); len(left) != 0 {
		t.Errorf("the sidecar still has %v", left)
	}
}

// A change of the owner has taken place once the inode has the record, also if the sidecar cannot be
// written to afterwards.
func TestSetInInodeWithReadOnlySidecar(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("a user's own directory is made read-only for another user: needs root")
	}
	enterProc(t)
	dir, side := t.TempDir(), t.TempDir()
	s := NewStore(ID{}, openSidecar(t, side))
	path := makeSymlink(t, dir)
	fd, mode := openPath(t, path)
	var k key
	if e := k.fill(fd, &[]byte{0}[0], unix.AT_EMPTY_PATH); e != 0 {
		t.Fatal(e)
	}
	if e := s.sidecar.set(&k, &Record{ID: ID{7, 8}}); e != 0 {
		t.Fatal(e)
	}
	if _, err := unix.SetfsuidRetUid(65534); err != nil { // without CAP_DAC_OVERRIDE
		t.Fatal(err)
	}
	for _, id := range []ID{{9, 8}, {}} {
		if done, e := s.SetInInode(fd, 0, mode, id); !done || e != 0 {
			t.Errorf("SetInInode to %v: %v, %v", id, done, e)
		}
	}
	if _, err := unix.SetfsuidRetUid(0); err != nil {
		t.Fatal(err)
	}
	if left := entries(t, side); len(left) != 1 {
		t.Fatalf("the sidecar has %v, want the entry that could not be removed", left)
	}
	wantOwner(t, s, path, ID{}, true)
}

// FuzzCapability decodes the value of a capability attribute, which the container can write. What
// is a record stays the same.
func FuzzCapability(f *testing.F) {
	for _, r := range []Record{{}, {ID: ID{UID: 33, GID: 1<<32 - 2}}, {Type: unix.S_IFCHR, Rdev: 0x103}, {Type: unix.S_IFBLK, attributes: true}} {
		v, _ := r.capabilityValue()
		f.Add(v[:])
	}
	f.Add(RootIDMark)
	f.Fuzz(func(t *testing.T, value []byte) {
		var r Record
		if !r.parseCapability(value) {
			return
		}
		v, ok := r.capabilityValue()
		var again Record
		if !ok || !again.parseCapability(v[:]) || again.ID != r.ID || again.Type != r.Type || again.Rdev != r.Rdev || again.attributes != r.attributes {
			t.Errorf("% x: %+v, then % x, %+v", value, r, v, again)
		}
		if HasAttributeFile(value) != r.attributes || IsRootIDMark(value) {
			t.Errorf("% x: attribute file %v, mark %v", value, HasAttributeFile(value), IsRootIDMark(value))
		}
	})
}
