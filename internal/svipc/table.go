// Package svipc stores the owners of System V IPC objects, and knows the layouts of their
// status.
//
// The kernel sees a single user, to whom all objects of a container belong. A record says who
// has created an object, and who owns it, if that is not the container's root. The records are
// in shared memory that outlives the worker, as the table of identities does. They end with
// the container, as the objects of its own IPC namespace do.
//
// # Locks and ownership
//
// Table.mu protects everything. Table.creating is held from the creation of an object until it
// has its record; mu is acquired under it. The worker is the only process that uses the memory;
// after its death, the next one takes it over in whatever state it is. So a record becomes
// valid with one store, of its hash, which comes last. To change a record, Set writes another
// one and then removes the old one. If the worker dies in between, either may be found; the
// handler runs again and repeats the Set.
package svipc

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// Key identifies an object.
type Key struct {
	Namespace uint64 // the IPC namespace: target.IPCNamespace.ID
	Kind      sys.IPCKind
	ID        int32 // as msgget(2) and its relatives return it
}

// Record is what is stored about an object. Ids are emulated ids.
type Record struct {
	UID, GID   uint32 // of the owner
	CUID, CGID uint32 // of the creator
	// Creator is the process that has created the object, if it is shared memory, or zero: by
	// the supervisor's number, and by that in its own PID namespace, whose inode number is
	// PIDNamespace.
	Creator, CreatorInside uint32
	PIDNamespace           uint64
	// Changed is the object's time of creation or of the last IPC_SET, in seconds, or 0 if it
	// is not known. Another time means that the record belongs to an earlier object with the
	// same Key: while no worker held the namespace, another one may have been given its ID.
	Changed int64
}

// Table stores the records of one container. Its methods may be called by several threads at
// once.
type Table struct {
	creating sync.Mutex
	mu       sync.Mutex
	shared   *shared
	held     map[uint64]int // descriptors, by namespace: see Hold

	// limit is how many entries may be used before those of removed objects are reclaimed:
	// look-ups are linear.
	limit uint32

	reportFull sync.Once // an error is logged once
}

// maxRecords is how many objects can have records. The kernel's default limits are 4096
// segments of shared memory, 32000 sets of semaphores and 32000 message queues per namespace.
const maxRecords = 1 << 16

// firstLimit is the first Table.limit.
const firstLimit = 256

// shared is the memory of a table. Its file is sparse.
type shared struct {
	top     uint32 // all entries from here on are free
	_       uint32
	hashes  [maxRecords]uint32 // of the keys; 0: the entry is free
	entries [maxRecords]entry
}

type entry struct {
	Key
	Record
}

// Size is the size of a table in its file, in bytes. A table of zeros is empty.
const Size = int64(unsafe.Sizeof(shared{}))

// Map maps the table in the file fd. Offset is a multiple of the page size.
func Map(fd int, offset int64) (*Table, error) {
	m, err := unix.Mmap(fd, offset, int(Size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mmap the owners of IPC objects: %w", err)
	}
	return &Table{shared: (*shared)(unsafe.Pointer(&m[0])), limit: firstLimit}, nil
}

// InUse reports whether there may be a record. If not, all objects belong to the container's
// root.
func (t *Table) InUse() bool { return atomic.LoadUint32(&t.shared.top) != 0 }

// hash returns a hash of k that is not 0.
func (k Key) hash() uint32 {
	h := k.Namespace*0x9e3779b97f4a7c15 ^ uint64(k.Kind)<<32 ^ uint64(uint32(k.ID))
	h *= 0x9e3779b97f4a7c15
	return max(uint32(h>>32), 1)
}

// Get returns the record of the object k.
func (t *Table) Get(k Key) (r Record, ok bool) {
	if !t.InUse() {
		return Record{}, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := t.find(k, 0); i >= 0 {
		return t.shared.entries[i].Record, true
	}
	return Record{}, false
}

// GetNew is Get for an object that may be so new that it has no record yet: it waits for those
// that are being created.
func (t *Table) GetNew(k Key) (r Record, ok bool) {
	if r, ok = t.Get(k); !ok {
		t.creating.Lock()
		t.creating.Unlock() //lint:ignore SA2001 it waits
		r, ok = t.Get(k)
	}
	return r, ok
}

// BeginCreate must be called before an object is created that gets a record, and EndCreate
// when it has it.
func (t *Table) BeginCreate() { t.creating.Lock() }

// EndCreate is the end of what BeginCreate begins.
func (t *Table) EndCreate() { t.creating.Unlock() }

// find returns the index of the first entry of k from the index from on, or -1.
func (t *Table) find(k Key, from int) int {
	hash, s := k.hash(), t.shared
	for i := from; i < int(s.top); i++ {
		if s.hashes[i] == hash && s.entries[i].Key == k {
			return i
		}
	}
	return -1
}

// Matches reports whether r can belong to the object with the status s.
func (r *Record) Matches(s *Status) bool {
	changed := s.Changed()
	// SETVAL and SETALL change the time of semaphores.
	return r.Changed == 0 || r.Changed == changed || s.Kind == sys.Semaphores && r.Changed < changed
}

// HasRoom reports whether Set has room for a record, without a Reclaim.
func (t *Table) HasRoom() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.firstFree() < int(t.limit)
}

// Reclaim removes the records of namespaces that goneNamespace reports as removed, and of objects
// that gone does. It calls them with the table locked.
func (t *Table) Reclaim(goneNamespace func(uint64) bool, gone func(Key) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, kept := t.shared, uint32(0)
	for i := range s.hashes[:s.top] {
		switch k := s.entries[i].Key; {
		case s.hashes[i] == 0:
		case goneNamespace(k.Namespace), gone(k):
			atomic.StoreUint32(&s.hashes[i], 0)
		default:
			kept++
		}
	}
	t.release(goneNamespace)
	for t.limit < 2*kept && t.limit < maxRecords {
		t.limit *= 2
	}
}

// Set stores the record of the object k. The error is ENOSPC if the table is full.
func (t *Table) Set(k Key, r Record) unix.Errno {
	t.mu.Lock()
	defer t.mu.Unlock()
	free := t.firstFree()
	if free == maxRecords {
		t.reportFull.Do(func() {
			slog.Error("a System V IPC object cannot be created, or change its owner (ENOSPC): too many belong to users other than root", "objects", maxRecords)
		})
		return unix.ENOSPC
	}
	t.shared.entries[free] = entry{k, r}
	if top := uint32(free) + 1; top > t.shared.top {
		atomic.StoreUint32(&t.shared.top, top)
	}
	atomic.StoreUint32(&t.shared.hashes[free], k.hash())
	t.remove(k, free)
	return 0
}

// Delete removes the record of the object k.
func (t *Table) Delete(k Key) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.remove(k, -1)
}

// remove removes all entries of k except the one with the index keep.
func (t *Table) remove(k Key, keep int) {
	for i := t.find(k, 0); i >= 0; i = t.find(k, i+1) {
		if i != keep {
			atomic.StoreUint32(&t.shared.hashes[i], 0)
		}
	}
}

// firstFree returns the index of the first free entry, or maxRecords.
func (t *Table) firstFree() int {
	for i, h := range t.shared.hashes[:t.shared.top] {
		if h == 0 {
			return i
		}
	}
	return int(t.shared.top)
}
