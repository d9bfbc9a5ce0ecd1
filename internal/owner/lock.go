package owner

import (
	"slices"
	"sync"
)

// Inode tells inodes apart.
type Inode struct{ Dev, Ino uint64 }

// inodeLocks are the inodes whose owner is being changed.
//
// A lock is held while file systems are at work, and the server of a FUSE file
// system in the container may have to change owners itself to get such work
// done. So exactly one inode is locked, and not all that share a hash with it.
type inodeLocks struct {
	mu       sync.Mutex
	released sync.Cond
	held     []Inode
}

// Lock serialises changes of one inode's owner, so that two callers who change
// one component each do not lose one of them.
func (s *Store) Lock(i Inode) {
	l := &s.locks
	l.mu.Lock()
	for slices.Contains(l.held, i) {
		l.released.Wait()
	}
	l.held = append(l.held, i)
	l.mu.Unlock()
}

// Unlock ends what Lock began.
func (s *Store) Unlock(i Inode) {
	l := &s.locks
	l.mu.Lock()
	n := len(l.held) - 1
	l.held[slices.Index(l.held, i)] = l.held[n]
	l.held = l.held[:n]
	l.mu.Unlock()
	l.released.Broadcast()
}
