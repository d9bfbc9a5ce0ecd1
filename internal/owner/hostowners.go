package owner

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// HostOwners holds the owners that one container has given to inodes of the host that it
// shares with other containers, such as /dev/null. It is shared memory that outlives a worker
// and ends with the container. Memory of zeros is empty.
//
// Readers need no lock: an entry is complete before count includes it, and its key does not
// change any more. Store.hostMu admits one writer at a time. Of a writer that dies before
// it changes count, nothing is left.
type HostOwners struct {
	count   atomic.Uint32
	entries [maxHostOwners]hostOwner
}

// maxHostOwners is more than the number of device nodes of most hosts.
const maxHostOwners = 1024

type hostOwner struct {
	key [4]uint64     // see key.numbers
	id  atomic.Uint64 // uid in the high half, gid in the low half
}

// inUse reports whether there is an entry. It is false for a nil HostOwners.
func (h *HostOwners) inUse() bool { return h != nil && h.count.Load() != 0 }

// find returns the entry of an inode, or nil if there is none.
func (h *HostOwners) find(k *key) *hostOwner {
	if h == nil {
		return nil
	}
	for i := range h.count.Load() {
		if entry := &h.entries[i]; entry.key == k.numbers {
			return entry
		}
	}
	return nil
}

// get fills the owner of r, and reports whether the inode has an entry.
func (h *HostOwners) get(k *key, r *Record) bool {
	entry := h.find(k)
	if entry == nil {
		return false
	}
	id := entry.id.Load()
	r.ID = ID{UID: uint32(id >> 32), GID: uint32(id)}
	return true
}

// set makes id the owner of an inode, and reports whether there was room for it. The caller
// holds Store.hostMu.
func (h *HostOwners) set(k *key, id ID) bool {
	if h == nil {
		return false
	}
	value := uint64(id.UID)<<32 | uint64(id.GID)
	if entry := h.find(k); entry != nil {
		entry.id.Store(value)
		return true
	}
	n := h.count.Load()
	if n == maxHostOwners {
		return false
	}
	h.entries[n].key = k.numbers
	h.entries[n].id.Store(value)
	h.count.Store(n + 1)
	return true
}

// SetHost is Set for an inode of the host that other containers see, too, and that is neither
// a regular file nor a directory. The record is in Store.Host, and ends with the container. If
// that has no room, Set records the owner.
//
// The errors are those of statx(2) and Set.
func (s *Store) SetHost(fd int, dev uint64, mode uint32, id ID) unix.Errno {
	var k key
	if e := k.fill(fd, sys.Empty, unix.AT_EMPTY_PATH); e != 0 {
		return e
	}
	s.hostMu.Lock()
	stored := s.Host.set(&k, id)
	s.hostMu.Unlock()
	if stored {
		return 0
	}
	return s.Set(fd, dev, mode, id)
}
