package svipc

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// newTables maps an empty table twice, as two workers do, one after the other.
func newTables(t *testing.T) (first, second *Table) {
	t.Helper()
	fd, err := unix.MemfdCreate("objects", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Ftruncate(fd, Size); err != nil {
		t.Fatal(err)
	}
	var tables [2]*Table
	for i := range tables {
		if tables[i], err = Map(fd, 0); err != nil {
			t.Fatal(err)
		}
	}
	return tables[0], tables[1]
}

func (table *Table) want(t *testing.T, k Key, uid uint32) {
	t.Helper()
	if r, ok := table.GetNew(k); !ok || r.UID != uid {
		t.Errorf("%+v belongs to %d (recorded: %v), want %d", k, r.UID, ok, uid)
	}
}

func (table *Table) wantNone(t *testing.T, k Key) {
	t.Helper()
	if r, ok := table.Get(k); ok {
		t.Errorf("%+v has the record %+v", k, r)
	}
}

func (table *Table) set(t *testing.T, k Key, uid uint32) {
	t.Helper()
	if e := table.Set(k, Record{UID: uid}); e != 0 {
		t.Fatalf("set %+v: %v", k, e)
	}
}

func TestTableOutlivesTheWorker(t *testing.T) {
	old, fresh := newTables(t)
	shm, sem := Key{1, sys.SharedMemory, 5}, Key{1, sys.Semaphores, 5}
	if old.InUse() {
		t.Error("an empty table is in use")
	}
	old.set(t, shm, 7)
	old.set(t, sem, 8)
	old.set(t, shm, 9)
	if !fresh.InUse() {
		t.Error("the new worker does not know that the table is in use")
	}
	fresh.want(t, shm, 9)
	fresh.want(t, sem, 8)
	fresh.wantNone(t, Key{2, sys.SharedMemory, 5})
	fresh.wantNone(t, Key{1, sys.MessageQueue, 5})
	fresh.wantNone(t, Key{1, sys.SharedMemory, 6})
	fresh.Delete(shm)
	old.wantNone(t, shm)
	old.want(t, sem, 8)
}

// A worker may die after it has written the new record, and before it removes the old one.
func TestSetIsRepeatable(t *testing.T) {
	table, _ := newTables(t)
	k := Key{1, sys.SharedMemory, 5}
	table.set(t, k, 7)
	table.shared.entries[1] = entry{k, Record{UID: 8}}
	table.shared.hashes[1] = k.hash()
	table.shared.top = 2
	table.set(t, k, 8)
	table.want(t, k, 8)
	table.Delete(k)
	table.wantNone(t, k)
}

func TestReclaim(t *testing.T) {
	table, _ := newTables(t)
	for i := range int32(firstLimit) {
		if !table.HasRoom() {
			t.Fatalf("no room after %d records", i)
		}
		table.set(t, Key{1, sys.Semaphores, i}, uint32(i))
	}
	if table.HasRoom() {
		t.Error("room for more records than the first limit")
	}
	table.Reclaim(func(uint64) bool { return false }, func(k Key) bool { return k.ID%4 == 0 })
	table.wantNone(t, Key{1, sys.Semaphores, 4})
	table.want(t, Key{1, sys.Semaphores, 5}, 5)
	if !table.HasRoom() {
		t.Error("no room after the removed objects have been reclaimed")
	}
	if table.limit != 2*firstLimit {
		t.Errorf("limit %d, want %d", table.limit, 2*firstLimit)
	}
}

func TestFull(t *testing.T) {
	table, _ := newTables(t)
	for i := range table.shared.hashes {
		table.shared.hashes[i] = 1
	}
	table.shared.top = maxRecords
	if e := table.Set(Key{1, sys.Semaphores, 1}, Record{}); e != unix.ENOSPC {
		t.Errorf("a full table: %v, want ENOSPC", e)
	}
}

func TestMatches(t *testing.T) {
	for _, test := range []struct {
		kind     sys.IPCKind
		recorded int64
		want     bool
	}{
		{sys.SharedMemory, 100, true},
		{sys.SharedMemory, 99, false},
		{sys.SharedMemory, 0, true},
		{sys.MessageQueue, 101, false},
		{sys.Semaphores, 99, true}, // SETVAL
		{sys.Semaphores, 101, false},
	} {
		s := Status{Kind: test.kind}
		s.set64([...]int{shmChanged, semChanged, msgChanged}[test.kind], 100)
		r := Record{Changed: test.recorded}
		if got := r.Matches(&s); got != test.want {
			t.Errorf("kind %d, recorded time %d: %v, want %v", test.kind, test.recorded, got, test.want)
		}
	}
}

// The kernel's status of real objects is read and written as the man pages describe it.
func TestStatus(t *testing.T) {
	for kind, size := range map[sys.IPCKind]uintptr{sys.SharedMemory: 8192, sys.Semaphores: 3, sys.MessageQueue: 0} {
		id, e := sys.IPCGet(kind, 0, size, 0o640)
		if e != 0 {
			t.Fatalf("create kind %d: %v", kind, e)
		}
		defer sys.IPCControl(kind, int32(id), unix.IPC_RMID, nil)
		s := Status{Kind: kind}
		if _, e := sys.IPCControl(kind, int32(id), unix.IPC_STAT, &s.Raw); e != 0 {
			t.Fatalf("status of kind %d: %v", kind, e)
		}
		if s.Mode() != 0o640 || s.UID() != uint32(unix.Geteuid()) || s.CGID() != uint32(unix.Getegid()) {
			t.Errorf("kind %d: mode %o, owner %d, group of the creator %d", kind, s.Mode(), s.UID(), s.CGID())
		}
		if kind != sys.MessageQueue && s.Count() != uint64(size) {
			t.Errorf("kind %d: size %d, want %d", kind, s.Count(), size)
		}
		var now unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_REALTIME, &now); err != nil {
			t.Fatal(err)
		}
		if d := now.Sec - s.Changed(); d < 0 || d > 60 {
			t.Errorf("kind %d: created %d seconds ago", kind, d)
		}
		to := Change{UID: s.UID(), GID: s.GID(), Mode: 0o604, MaxBytes: 1000}
		s.Set(&to)
		if _, e := sys.IPCControl(kind, int32(id), unix.IPC_SET, &s.Raw); e != 0 {
			t.Fatalf("change kind %d: %v", kind, e)
		}
		if _, e := sys.IPCControl(kind, int32(id), unix.IPC_STAT, &s.Raw); e != 0 {
			t.Fatal(e)
		}
		if kind != sys.MessageQueue {
			to.MaxBytes = 0
		}
		if got := s.change(); got != to {
			t.Errorf("kind %d: changed to %+v, want %+v", kind, got, to)
		}
		var room sys.IPCStatus
		for _, l := range []Layout{Native, I386, Old} {
			if got := l.Change(kind, s.In(l, &room)[:l.ChangeSize(kind)]); got != to {
				t.Errorf("kind %d in layout %d: %+v, want %+v", kind, l, got, to)
			}
		}
	}
}
