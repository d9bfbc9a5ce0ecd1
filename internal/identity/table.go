package identity

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
)

const (
	maxStates = 8192
	maxGroups = cred.MaxGroups
)

// Table stores the states of the tasks of one container. Its methods may be called by
// several threads at once.
//
// States are immutable, and equal states share an index: the size of a table depends
// on the number of distinct states, not of tasks. When it is full, states that no task
// has any more are reclaimed.
type Table struct {
	proc   int // O_PATH descriptor of the supervisor's /proc
	shared *shared
	limit  int // maxStates, except in tests

	// Leaves, if not nil, is called before a process whose tasks have the initial state gets
	// another one, with the id of one of its tasks. If it returns an error, the process keeps its
	// state: EAGAIN. Set it before the first use of the Table.
	Leaves func(tid uint32) error

	// mu is held from the moment a state gets an index until a task has it, and
	// wherever a cookie changes: see the package comment.
	mu sync.Mutex

	namespaces   [maxNamespaces]atomic.Pointer[cred.Namespace] // nil: the container's, or none
	movers       map[uint32]struct{}                           // threads that have called Move since this worker started; under mu
	pins         [maxNamespaces]int                            // see pin; 0: none. The lock is mu
	pinned       int                                           // number of pins
	maxPinned    int                                           // see minPinned
	suidDumpable suidDumpable
	inodes       bool // know namespaces by their inode numbers; in tests

	reportFull, reportLimit, reportNamespaces sync.Once // errors are logged once
}

// shared is the memory of a table: see the package comment. Its file is sparse: only
// groups that are in use take memory.
type shared struct {
	tag          uint32               // of the table's cookies
	inUse        uint32               // some task may have another state than the initial one
	initialTaken uint32               // the first program has begun, with the initial state
	top          uint32               // all indexes from here on are free
	moved        uint32               // some task may be in another user namespace: see Move
	serving      uint32               // some task may serve a file system
	toStart      [MaxListeners]uint32 // see Prepare
	hashes       [maxStates]uint32    // a hash of the state; 0: the index is free
	fixed        [maxStates]fixed
	groups       [maxStates][maxGroups]uint32
	namespaces   [maxNamespaces]namespace
	maps         [maxNamespaces]maps
}

// MaxListeners is the maximum number of seccomp listeners of one container: that of its
// init, and those of processes that a runtime's exec starts.
const MaxListeners = 64

const (
	initial = 0 // the state of a task without a cookie
	program = 1 // the state of a container's first program, see Mark
	first   = 2 // the first index for other states
)

// Size is the size of a table in its file, in bytes. A table of zeros is empty.
const Size = int64(unsafe.Sizeof(shared{}))

// Map maps the table in the file fd. Offset is a multiple of the page size. Proc is an
// O_PATH descriptor of a /proc that shows the tasks under the thread ids that
// notifications contain. Uid and gid are the mapped ids as the container sees them,
// which are the ids of tasks without a cookie.
func Map(fd int, offset int64, proc int, uid, gid uint32) (*Table, error) {
	m, err := unix.Mmap(fd, offset, int(Size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		if err == unix.ENOMEM {
			err = fmt.Errorf("%w (the table is sparse, but takes %d MiB of address space: see ulimit -v)", err, Size>>20)
		}
		return nil, fmt.Errorf("mmap the table of identities: %w", err)
	}
	t := &Table{proc: proc, shared: (*shared)(unsafe.Pointer(&m[0])), limit: maxStates, maxPinned: minPinned, movers: map[uint32]struct{}{}}
	t.suidDumpable.open(proc)
	if t.shared.top == 0 {
		s := Root()
		s.UID = cred.IDs{Real: uid, Effective: uid, Saved: uid, FS: uid}
		s.GID = cred.IDs{Real: gid, Effective: gid, Saved: gid, FS: gid}
		t.put(initial, &s)
		t.put(program, &s)
		t.shared.tag = 1 + rand.Uint32N(markedTag-1)
		t.shared.top = first
	}
	if e := t.noteContainer(); e != 0 {
		return nil, fmt.Errorf("cannot identify the user namespace of the container: %w", e)
	}
	t.loadNamespaces()
	return t, nil
}

// InUse reports whether any task may have another state than the initial one. Until
// then, no notification needs to look at identities.
func (t *Table) InUse() bool { return atomic.LoadUint32(&t.shared.inUse) != 0 }

// ServersInUse reports whether any task may serve a file system: see State.Serves.
func (t *Table) ServersInUse() bool { return atomic.LoadUint32(&t.shared.serving) != 0 }

// state returns the state with the index i.
func (t *Table) state(i uint16) State {
	f := &t.shared.fixed[i]
	s := f.state(t.shared.groups[i][:])
	s.Namespace = t.namespaces[f.namespace].Load()
	s.Program = t.namespaces[f.program/programIndex].Load()
	return s
}

// put makes s the state with the index i.
func (t *Table) put(i uint16, s *State) {
	t.shared.fixed[i] = s.fixed()
	copy(t.shared.groups[i][:], s.Groups)
	if s.Serves {
		atomic.StoreUint32(&t.shared.serving, 1)
	}
	// Last, so that a worker that dies earlier has changed nothing.
	atomic.StoreUint32(&t.shared.hashes[i], s.hash())
}

// hash returns a hash of s that is not 0.
func (s *State) hash() uint32 {
	f := s.fixed()
	h := fnv32a(fnvOffset, unsafe.Slice((*byte)(unsafe.Pointer(&f)), unsafe.Sizeof(f)))
	if n := len(s.Groups); n > 0 {
		h = fnv32a(h, unsafe.Slice((*byte)(unsafe.Pointer(&s.Groups[0])), 4*n))
	}
	return max(h, 1)
}

const fnvOffset = 2166136261

// fnv32a continues the 32-bit FNV-1a hash h with b. Unlike hash/fnv, it does not allocate.
func fnv32a(h uint32, b []byte) uint32 {
	for _, c := range b {
		h = (h ^ uint32(c)) * 16777619
	}
	return h
}

// index returns the index of s, after adding s to the table if necessary. The caller
// holds t.mu. The error is EAGAIN if the table is full.
func (t *Table) index(s *State) (uint16, unix.Errno) {
	hash := s.hash()
	for {
		free := -1
		for i, h := range t.shared.hashes[:t.shared.top] {
			switch {
			case h == hash && t.stateIs(uint16(i), s):
				return uint16(i), 0
			case h == 0 && free < 0:
				free = i
			}
		}
		if free < 0 && int(t.shared.top) < t.limit {
			free = int(t.shared.top)
			t.shared.top++
		}
		if free >= 0 {
			t.put(uint16(free), s)
			return uint16(free), 0
		}
		if !t.reclaim() {
			t.reportFull.Do(func() {
				slog.Error("a task cannot change its identity (EAGAIN): the container already uses the maximum number of distinct identities",
					"identities", t.limit)
			})
			return 0, unix.EAGAIN
		}
	}
}

// stateIs reports whether s is the state with the index i.
func (t *Table) stateIs(i uint16, s *State) bool {
	return t.shared.fixed[i] == s.fixed() && slices.Equal(t.shared.groups[i][:len(s.Groups)], s.Groups)
}
