package owner

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestEntries(t *testing.T) {
	enterProc(t)
	s := NewStore(ID{}, openSidecar(t, t.TempDir()))
	link, fifo := makeSymlink(t, t.TempDir()), makeFIFO(t, t.TempDir())
	record(t, s, fifo)
	k, _ := keyOf(t, link)
	device := Record{ID: ID{1, 2}, Type: unix.S_IFBLK, Rdev: unix.Mkdev(8, 1)}
	if e := s.sidecar.set(&k, &device); e != 0 {
		t.Fatal(e)
	}
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	if e := s.Set(pipe[0], 0, unix.S_IFIFO, ID{3, 4}); e != 0 {
		t.Fatal(e)
	}
	list, err := s.sidecar.Entries()
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(list, func(a, b Entry) int { return cmp.Or(cmp.Compare(a.UID, b.UID), cmp.Compare(a.Name, b.Name)) })
	if len(list) != 4 {
		t.Fatalf("%d entries, want 4: %+v", len(list), list)
	}
	linkKey, err := KeyOfPath(filepath.Dir(link))
	if err != nil || linkKey == list[1].Inode {
		t.Errorf("the key of the directory: %v, %v", linkKey, err)
	}
	fifoKey, err := KeyOfPath(fifo)
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case !list[0].Attributes || list[0].Inode != fifoKey || list[0].Volatile:
		t.Errorf("attribute file: %+v", list[0])
	case list[1].ID != device.ID || list[1].Type != device.Type || list[1].Rdev != device.Rdev || list[1].Inode != k.exported():
		t.Errorf("device: %+v", list[1])
	case !list[2].Volatile || list[2].ID != ID{3, 4}:
		t.Errorf("pipe: %+v", list[2])
	case list[3].ID != ID{7, 8} || list[3].Inode != fifoKey || list[3].Modified.IsZero():
		t.Errorf("owner: %+v", list[3])
	}
	for _, e := range append(list, list[0]) {
		if err := s.sidecar.Remove(e); err != nil {
			t.Error(err)
		}
	}
	if n := names(t, s.sidecar); n != 0 {
		t.Errorf("%d entries are left", n)
	}
}

// Containers skip the look-up again when there are no entries any more.
func TestSettle(t *testing.T) {
	s := openSidecar(t, t.TempDir())
	k, _ := keyOf(t, makeSymlink(t, t.TempDir()))
	if e := s.set(&k, &Record{ID: ID{1, 2}}); e != 0 {
		t.Fatal(e)
	}
	for _, want := range []bool{true, false} {
		if err := s.Settle(); err != nil {
			t.Fatal(err)
		}
		if s.inUse() != want {
			t.Errorf("in use: %v, want %v", s.inUse(), want)
		}
		s.remove(&k)
	}
	if e := s.set(&k, &Record{ID: ID{1, 2}}); e != 0 || !s.inUse() {
		t.Errorf("after another entry: %v, in use %v", e, s.inUse())
	}
}

// The same applies to attribute files.
func TestSettleOfAttributeFiles(t *testing.T) {
	enterProc(t)
	s := NewStore(ID{}, openSidecar(t, t.TempDir()))
	record(t, s, makeFIFO(t, t.TempDir()))
	for _, want := range []bool{true, false} {
		if err := s.sidecar.Settle(); err != nil {
			t.Fatal(err)
		}
		if s.Forgets() != want {
			t.Errorf("may forget: %v, want %v", s.Forgets(), want)
		}
		list, err := s.sidecar.Entries()
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			if err := s.sidecar.Remove(e); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// An entry that appears while Settle looks is found afterwards.
func TestSettleMeetsWriter(t *testing.T) {
	s := openSidecar(t, t.TempDir())
	k, _ := keyOf(t, makeSymlink(t, t.TempDir()))
	for range 200 {
		done := make(chan error)
		go func() { done <- s.Settle() }()
		if e := s.set(&k, &Record{ID: ID{1, 2}}); e != 0 {
			t.Fatal(e)
		}
		if !s.inUse() {
			t.Fatal("the entry is not found")
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if !s.inUse() {
			t.Fatal("the entry is not found any more")
		}
		s.remove(&k)
	}
}

func TestMoveToInode(t *testing.T) {
	enterProc(t)
	s := NewStore(ID{}, openSidecar(t, t.TempDir()))
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	setOrSkip(t, s, file, ID{1, 1})
	set(t, s, file, ID{})
	socket := makeSocket(t, t.TempDir())
	without := NewStore(ID{}, openSidecar(t, t.TempDir()))
	for _, tt := range []struct {
		path string
		r    Record
	}{
		{makeSymlink(t, dir), Record{ID: ID{7, Noop}}},
		{socket, Record{ID: ID{7, 8}, Type: unix.S_IFBLK, Rdev: unix.Mkdev(8, 1)}},
		{file, Record{ID: ID{7, 8}}},
	} {
		k, _ := keyOf(t, tt.path)
		fd, mode := openPath(t, tt.path)
		if moved, e := s.MoveToInode(fd, mode); moved || e != 0 {
			t.Errorf("%s, no entry: %v, %v", tt.path, moved, e)
		}
		if e := s.sidecar.set(&k, &tt.r); e != 0 {
			t.Fatal(e)
		}
		if moved, e := s.MoveToInode(fd, mode); !moved || e != 0 {
			t.Errorf("%s: %v, %v", tt.path, moved, e)
		}
		wantRecord(t, without, tt.path, new(Record), &tt.r)
		if n := names(t, s.sidecar); n != 0 {
			t.Errorf("%s: %d entries are left", tt.path, n)
		}
		// What the inode has already counts.
		if e := s.sidecar.set(&k, &Record{ID: ID{9, 9}}); e != 0 {
			t.Fatal(e)
		}
		if moved, e := s.MoveToInode(fd, mode); !moved || e != 0 || names(t, s.sidecar) != 0 {
			t.Errorf("%s, another record: %v, %v", tt.path, moved, e)
		}
		wantRecord(t, without, tt.path, new(Record), &tt.r)
	}
	// Capabilities stay.
	fifo := makeFIFO(t, t.TempDir())
	fd, mode := openPath(t, fifo)
	k, _ := keyOf(t, fifo)
	if e := s.sidecar.set(&k, &Record{ID: ID{9, 9}}); e != 0 {
		t.Fatal(e)
	}
	caps := []byte{0, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	if err := unix.Setxattr(fifo, CapabilityXattr, caps, 0); err != nil {
		t.Fatal(err)
	}
	if moved, e := s.MoveToInode(fd, mode); moved || e != 0 {
		t.Errorf("over capabilities: %v, %v", moved, e)
	}
	wantOwner(t, s, fifo, ID{9, 9}, true)
}

// In a namespace that maps another id than 0, the kernel has another version of the attribute.
func TestCapabilityOfAnotherID(t *testing.T) {
	value, _ := (&Record{ID: ID{1, 2}}).capabilityValue()
	v3 := append(append([]byte(nil), value[:]...), 42, 0, 0, 0)
	v3[3] = 3
	var r Record
	if !r.parseCapability(v3) || r.ID != (ID{1, 2}) {
		t.Errorf("% x is read as %+v", v3, r)
	}
	v3[3] = 2
	if r.parseCapability(v3) {
		t.Error("version 2 has 24 bytes")
	}
}
