package svipc

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Before Linux 6.18, the kernel gives the ID of an IPC namespace to another one once the first is
// gone. The table then holds each namespace that has records: a descriptor keeps the kernel from
// giving its ID again. It also keeps the namespace's objects, until Reclaim finds that no process
// is left there, before the first record in another namespace.

// Holds reports whether the table holds the namespace ns.
func (t *Table) Holds(ns uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, ok := t.held[ns]
	return ok
}

// Hold makes the table hold the namespace ns, by its descriptor fd, which becomes the table's.
func (t *Table) Hold(ns uint64, fd int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.held[ns]; ok {
		unix.Close(fd)
		return
	}
	if t.held == nil {
		t.held = make(map[uint64]int)
	}
	t.held[ns] = fd
}

// Adopt makes the table hold the namespaces of those records that an earlier worker has left. They
// are among held, descriptors by namespaces, which become the table's; other namespaces are gone,
// as are their records.
func (t *Table) Adopt(held map[uint64]int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	recorded := make(map[uint64]bool)
	s := t.shared
	for i := range s.hashes[:s.top] {
		ns := s.entries[i].Namespace
		if _, ok := held[ns]; ok && s.hashes[i] != 0 {
			recorded[ns] = true
		} else {
			atomic.StoreUint32(&s.hashes[i], 0)
		}
	}
	t.held = held
	t.release(func(ns uint64) bool { return !recorded[ns] })
}

// release lets go of the namespaces that gone reports. The caller holds mu.
func (t *Table) release(gone func(ns uint64) bool) {
	for ns, fd := range t.held {
		if gone(ns) {
			unix.Close(fd)
			delete(t.held, ns)
		}
	}
}
