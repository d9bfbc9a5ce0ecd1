package owner

import (
	"slices"
	"sync"
)

// Inode identifies an inode for Lock, by st_dev and st_ino of stat(2). The caller must
// have a descriptor of the inode, so that the kernel does not reuse the number.
type Inode struct{ Dev, Ino uint64 }

// inodeLocks is the set of locked inodes. Its mu is a leaf: it is held only to look at or
// change the set, and no other lock is taken meanwhile.
//
// There is one lock for each inode, instead of one for each hash value of inodes. A
// receiver holds it while a file system works, and the server of a FUSE file system in
// the container may have to change the owner of another file to complete that work.
type inodeLocks struct {
	mu       sync.Mutex
	released sync.Cond // uses mu; signalled after each removal from held
	held     []Inode   // guarded by mu; at most two for each receiver
}

// Lock locks an inode against other receivers of this worker, and waits until it can. Use
// it to read a record and write it back. Without it, one of two concurrent changes, say of
// the uid and of the gid, could be lost.
//
// Rules for callers:
//   - Order: a directory before the inode made in it. Hold no two inodes otherwise, and do
//     not lock an inode twice: the lock is not recursive.
//   - While holding a lock, do not wait for a task or for another receiver, as in opening
//     a FIFO: whatever is to end the wait may need the same lock. System calls on the
//     inode itself are fine, however long they take.
//   - The wait may take long. Afterwards the target may be gone, and a path that was
//     resolved before may lead elsewhere.
//   - A worker that dies releases all its locks. A call that its successor repeats locks
//     again.
func (s *Store) Lock(i Inode) {
	l := &s.locks
	l.mu.Lock()
	for slices.Contains(l.held, i) {
		l.released.Wait()
	}
	l.held = append(l.held, i)
	l.mu.Unlock()
}

// Unlock unlocks an inode that the caller has locked with Lock. Locks may be released in
// any order.
func (s *Store) Unlock(i Inode) {
	l := &s.locks
	l.mu.Lock()
	n := len(l.held) - 1
	l.held[slices.Index(l.held, i)] = l.held[n]
	l.held = l.held[:n]
	l.mu.Unlock()
	l.released.Broadcast()
}
