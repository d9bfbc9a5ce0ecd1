package owner

import "testing"

// The owner of an inode of the host is that of one container, and outlives its worker.
func TestHostOwners(t *testing.T) {
	enterProc(t)
	side := t.TempDir()
	host := new(HostOwners)
	newStore := func(h *HostOwners) *Store {
		s := NewStore(ID{}, openSidecar(t, side))
		s.Host = h
		return s
	}
	path := makeFIFO(t, t.TempDir())
	fd, mode := openPath(t, path)
	other, otherMode := openPath(t, makeFIFO(t, t.TempDir()))
	s := newStore(host)
	for _, id := range []ID{{5, 6}, {0, 0}, {7, Noop}} {
		if e := s.SetHost(fd, 0, mode, id); e != 0 {
			t.Fatal(e)
		}
		for _, store := range []*Store{s, newStore(host)} {
			if got, ok := store.Get(fd, mode); !ok || got != id {
				t.Errorf("Get = %v, %v, want %v", got, ok, id)
			}
			if p := store.Peek(&[]byte(path + "\x00")[0], true, false); p != Found {
				t.Errorf("Peek = %v, want Found", p)
			}
		}
	}
	if id, ok := s.Get(other, otherMode); ok {
		t.Errorf("another inode has the owner %v", id)
	}
	for _, store := range []*Store{newStore(new(HostOwners)), newStore(nil)} {
		if id, ok := store.Get(fd, mode); ok {
			t.Errorf("in another container: %v", id)
		}
	}
	if n := entries(t, side); len(n) != 0 {
		t.Errorf("the sidecar has %v", n)
	}
}

// When there is no room, the record goes where those of other inodes are.
func TestHostOwnersFull(t *testing.T) {
	enterProc(t)
	s := NewStore(ID{}, openSidecar(t, t.TempDir()))
	s.Host = new(HostOwners)
	for n := range uint64(maxHostOwners) {
		if !s.Host.set(&key{numbers: [4]uint64{n}}, ID{UID: 1}) {
			t.Fatalf("no room for entry %d", n)
		}
	}
	fd, mode := openPath(t, makeFIFO(t, t.TempDir()))
	if e := s.SetHost(fd, 0, mode, ID{5, 6}); e != 0 {
		t.Fatal(e)
	}
	if id, ok := s.Get(fd, mode); !ok || id != (ID{5, 6}) {
		t.Errorf("Get = %v, %v", id, ok)
	}
	if n := s.Host.count.Load(); n != maxHostOwners {
		t.Errorf("count = %d", n)
	}
}

// Neither recording nor reading allocates.
func TestHostOwnersAllocateNothing(t *testing.T) {
	enterProc(t)
	s := NewStore(ID{}, nil)
	s.Host = new(HostOwners)
	fd, mode := openPath(t, makeFIFO(t, t.TempDir()))
	if n := testing.AllocsPerRun(100, func() {
		if e := s.SetHost(fd, 0, mode, ID{5, 6}); e != 0 {
			t.Error(e)
		}
		s.Get(fd, mode)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
