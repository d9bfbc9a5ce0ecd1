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

// Table is the states that the tasks of one container have, or had.
//
// A state never changes, and equal states share an index: a table does not grow
// with the number of tasks, but with how different they are. When it is full,
// the states that no task has any more make room.
type Table struct {
	proc   int // O_PATH descriptor of the supervisor's /proc
	shared *shared
	limit  int // maxStates, but in tests

	// mu is held from the moment a state gets an index until a task has it, and
	// wherever the cookie of a process changes.
	mu sync.Mutex

	full, limited sync.Once // reports of what has kept a task from becoming somebody else
}

// shared is the memory of a table. Its file is sparse: of the groups only those
// in use take memory.
type shared struct {
	tag    uint32               // of the table's cookies
	inUse  uint32               // some task may have another state than the initial one
	begins uint32               // the first program has begun, with the initial state
	top    uint32               // all indexes from here on are free
	begun  [MaxListeners]uint32 // see Prepare
	marks  [maxStates]uint32    // a hash of the state; 0: the index is free
	fixed  [maxStates]fixed
	groups [maxStates][maxGroups]uint32
}

// MaxListeners is how many seccomp listeners one container has at most: that of its
// init, and those of processes that a runtime's exec starts.
const MaxListeners = 64

const (
	initial = 0 // the state of a task without a cookie
	program = 1 // the state of a container's first program, see Mark
	first   = 2 // the first index that is given out
)

// Size is how many bytes of a file a table needs. All zeros are an empty table.
const Size = int64(unsafe.Sizeof(shared{}))

// Map returns the table in the file fd, which starts at a page's offset. Proc is
// an O_PATH descriptor of a /proc in which the thread ids of tasks are found. UID and
// gid are the ids that the container's user namespace maps, which its tasks have at first.
func Map(fd int, offset int64, proc int, uid, gid uint32) (*Table, error) {
	m, err := unix.Mmap(fd, offset, int(Size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mmap of the table of identities: %w", err)
	}
	t := &Table{proc: proc, shared: (*shared)(unsafe.Pointer(&m[0])), limit: maxStates}
	if t.shared.top == 0 {
		s := Root()
		s.UID = cred.IDs{Real: uid, Effective: uid, Saved: uid, FS: uid}
		s.GID = cred.IDs{Real: gid, Effective: gid, Saved: gid, FS: gid}
		t.put(initial, &s)
		t.put(program, &s)
		t.shared.tag = 1 + rand.Uint32N(markedTag-1)
		t.shared.top = first
	}
	return t, nil
}

// InUse tells whether any task may be somebody else than the container's root.
func (t *Table) InUse() bool { return atomic.LoadUint32(&t.shared.inUse) != 0 }

// state returns the state with an index.
func (t *Table) state(i uint16) State {
	return t.shared.fixed[i].state(t.shared.groups[i][:])
}

// put makes s the state with the index i.
func (t *Table) put(i uint16, s *State) {
	t.shared.fixed[i] = s.fixed()
	copy(t.shared.groups[i][:], s.Groups)
	// Last: a worker that dies before has changed nothing.
	atomic.StoreUint32(&t.shared.marks[i], s.mark())
}

// mark is a hash of s, and not 0.
func (s *State) mark() uint32 {
	f := s.fixed()
	h := fnv32a(fnvOffset, unsafe.Slice((*byte)(unsafe.Pointer(&f)), unsafe.Sizeof(f)))
	if n := len(s.Groups); n > 0 {
		h = fnv32a(h, unsafe.Slice((*byte)(unsafe.Pointer(&s.Groups[0])), 4*n))
	}
	return max(h, 1)
}

const fnvOffset = 2166136261

// fnv32a is the 32-bit FNV-1a hash, without the allocation of hash/fnv.
func fnv32a(h uint32, b []byte) uint32 {
	for _, c := range b {
		h = (h ^ uint32(c)) * 16777619
	}
	return h
}

// index returns the index of s, which it puts into the table if it is not there.
// The caller holds t.mu. The error is EAGAIN if the table is full.
func (t *Table) index(s *State) (uint16, unix.Errno) {
	mark := s.mark()
	for {
		free := -1
		for i, m := range t.shared.marks[:t.shared.top] {
			switch {
			case m == mark && t.holds(uint16(i), s):
				return uint16(i), 0
			case m == 0 && free < 0:
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
		if !t.collect() {
			t.full.Do(func() {
				slog.Error("a task cannot become another user (EAGAIN), because the tasks of the container are as many different ones as there is room for",
					"identities", t.limit)
			})
			return 0, unix.EAGAIN
		}
	}
}

// holds tells whether s is the state with the index i.
func (t *Table) holds(i uint16, s *State) bool {
	return t.shared.fixed[i] == s.fixed() && slices.Equal(t.shared.groups[i][:len(s.Groups)], s.Groups)
}
