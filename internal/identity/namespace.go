package identity

import (
	"log/slog"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/idmap"
	"github.com/rootless-containers/subuidless/internal/sys"
	"github.com/rootless-containers/subuidless/internal/userns"
)

// A task can create a user namespace in that of the container, in which its ids are others. The
// kernel creates it, too, and would map the one id that it knows; the maps that programs write
// and see are in the table. Which namespace a task is in is part of its state.
//
// The kernel does not report whether clone(2), unshare(2) or setns(2) has succeeded, nor which
// process a clone(2) has made. So before such a call, Move sets the flag moving in the cookie,
// which a new process inherits. Whoever reads the state of a task with the flag compares the
// kernel's namespace of the task with that in the state (arrive). No other task can be in
// another namespace than its state says.

// maxNamespaces is the maximum number of user namespaces, the container's included.
const maxNamespaces = 1024

// namespace is an entry for a user namespace. The entry 0 is that of the container, and has only
// the fields used, reusable and id.
type namespace struct {
	used     uint32 // atomic; 0: the entry is free. It is set last
	reusable uint32 // 1: another namespace may get the id when this one is gone
	id       uint64 // a number of the kernel
	parent   uint32 // index
	owner    uint32 // effective user id of the creator
	group    uint32 // effective group id of the creator
	flags    uint32 // atomic
	uids     uint32 // atomic; number of lines of the uid_map, set last
	gids     uint32 // atomic; number of lines of the gid_map, set last
}

// maps are the maps of a namespace, with outside ids of the container's. They are apart, so that
// only those that are in use take memory.
type maps struct {
	uids, gids [idmap.MaxExtents]idmap.Extent
}

// setMap stores the map m in list, and then its length.
func setMap(list *[idmap.MaxExtents]idmap.Extent, n *uint32, m idmap.Map) {
	copy(list[:], m)
	atomic.StoreUint32(n, uint32(len(m)))
}

// Values of namespace.flags.
const (
	couldSetfcap    = 1 << 0 // cred.Namespace.CouldSetfcap
	setgroupsDenied = 1 << 1 // cred.Namespace.SetgroupsDenied
)

// NamespacesInUse reports whether any task may be in another user namespace than that of the
// container.
func (t *Table) NamespacesInUse() bool { return atomic.LoadUint32(&t.shared.moved) != 0 }

// Namespace returns the namespace of the entry with that index, nil for the container's and if there
// is none.
func (t *Table) Namespace(index uint32) *cred.Namespace {
	if index >= maxNamespaces {
		return nil
	}
	return t.namespaces[index].Load()
}

// loadNamespaces restores the entries that an earlier worker has made.
func (t *Table) loadNamespaces() {
	if !t.NamespacesInUse() {
		return // without a look at the entries, which would take memory
	}
	if t.shared.namespaces[0].reusable != 0 {
		t.pinAgain()
	}
	for i := range t.namespaces {
		t.loadNamespace(uint32(i))
	}
}

// loadNamespace returns the namespace of the entry i, nil for the container's.
func (t *Table) loadNamespace(i uint32) *cred.Namespace {
	e := &t.shared.namespaces[i]
	n := t.namespaces[i].Load()
	if i == 0 || n != nil || atomic.LoadUint32(&e.used) == 0 {
		return n
	}
	flags := atomic.LoadUint32(&e.flags)
	n = &cred.Namespace{
		Index: i, Parent: t.loadNamespace(e.parent), Owner: e.owner, Group: e.group, CouldSetfcap: flags&couldSetfcap != 0,
	}
	if count := atomic.LoadUint32(&e.uids); count > 0 {
		n.SetUIDs(append(idmap.Map(nil), t.shared.maps[i].uids[:count]...))
	}
	if count := atomic.LoadUint32(&e.gids); count > 0 {
		n.SetGIDs(append(idmap.Map(nil), t.shared.maps[i].gids[:count]...))
	}
	if flags&setgroupsDenied != 0 {
		n.DenySetgroups()
	}
	t.namespaces[i].Store(n)
	return n
}

// SetMap stores a map of the namespace n, whose outside ids are those of the container.
func (t *Table) SetMap(n *cred.Namespace, kind cred.MapKind, m idmap.Map) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e, maps := &t.shared.namespaces[n.Index], &t.shared.maps[n.Index]
	if kind == cred.UIDMap {
		setMap(&maps.uids, &e.uids, m)
		n.SetUIDs(m)
	} else {
		setMap(&maps.gids, &e.gids, m)
		n.SetGIDs(m)
	}
}

// StoreSetgroups stores that setgroups(2) is denied in the namespace n, if it is.
func (t *Table) StoreSetgroups(n *cred.Namespace) {
	if n.SetgroupsDenied() {
		e := &t.shared.namespaces[n.Index]
		atomic.StoreUint32(&e.flags, atomic.LoadUint32(&e.flags)|setgroupsDenied)
	}
}

// Move notes that the thread tid, which waits for the answer to a clone(2), unshare(2) or
// setns(2), or the process that it makes, may be in another user namespace afterwards. The
// errors are those of Set.
func (t *Table) Move(tid uint32) unix.Errno {
	t.mu.Lock()
	defer t.mu.Unlock()
	c, e := t.waitingCookie(tid, assumeWaiting{})
	if e != 0 {
		return e
	}
	atomic.StoreUint32(&t.shared.moved, 1)
	if len(t.movers) >= maxMovers { // of threads that have exited
		clear(t.movers)
	}
	t.movers[tid] = struct{}{}
	return t.setCookie(tid, c|moving)
}

// arriveThreads returns the cookie c of the process of the thread tid, which waits for an answer,
// after entering the namespace where the process is. It has several threads, and the flag moving.
// The caller holds t.mu.
func (t *Table) arriveThreads(tid uint32, c cookie) (cookie, unix.Errno) {
	before, e := t.threadState(tid, c)
	if e != 0 {
		return 0, e
	}
	i, e := t.arrive(tid, before)
	switch {
	case e != 0:
		return 0, e
	case i != before: // it has created the threads since, and only this is its first call
		return t.setProcess(tid, c, i)
	case t.hasMoved(tid):
		c &^= moving
		return c, t.setCookie(tid, c)
	}
	return c, 0
}

// maxMovers limits the memory for threads that exit before their next call.
const maxMovers = 1024

// hasMoved reports whether the flag moving of the process of the thread tid, which waits for an
// answer, is no longer needed: this thread has made the call that Move was for, and no other
// thread of the process may be in one. A new worker does not know; the flag then stays as long as
// the process has several threads.
func (t *Table) hasMoved(tid uint32) bool {
	if _, ok := t.movers[tid]; !ok {
		return false
	}
	delete(t.movers, tid)
	threads, e := t.threads(tid)
	if e != 0 {
		return false
	}
	for _, other := range threads {
		if _, ok := t.movers[other]; ok {
			return false
		}
	}
	return true
}

// arrive returns the state of the thread tid, whose cookie has the flag moving. I is the state
// before. The caller holds t.mu.
func (t *Table) arrive(tid uint32, i uint16) (uint16, unix.Errno) {
	before := t.namespaces[t.shared.fixed[i].namespace].Load()
	n, e := t.namespaceOf(tid, i)
	if e != 0 || n == before {
		return i, e
	}
	s := t.state(i)
	// The kernel resets the attribute of a process that gains capabilities over others than its
	// own namespace.
	if n == nil || n.Parent != before || n.Owner != s.UID.Effective {
		s.SetDumpable(t.SuidDumpable())
	}
	s.Credentials = s.Enter(n)
	return t.index(&s)
}

// namespaceOf returns the user namespace that the thread tid is in, after making an entry for it
// if necessary: then the thread, whose state is i, or the process that has made it, has created
// it. The caller holds t.mu.
func (t *Table) namespaceOf(tid uint32, i uint16) (*cred.Namespace, unix.Errno) {
	fd, e := t.open(tid, "ns/user", unix.O_RDONLY|unix.O_CLOEXEC)
	if e != 0 {
		return nil, e
	}
	defer unix.Close(fd)
	key, e := t.keyOf(fd)
	if e != 0 {
		return nil, e
	}
	before := t.shared.fixed[i].namespace
	if t.hasKey(before, key) {
		return t.namespaces[before].Load(), 0
	}
	if found, ok := t.find(key); ok {
		return t.namespaces[found].Load(), t.mapKernel(tid)
	}
	n, e := t.newNamespace(key, fd, t.parentOf(fd, before), i)
	if e == 0 {
		e = t.mapKernel(tid)
	}
	return n, e
}

// FindNamespace returns the user namespace that a descriptor of ours refers to. Ok is false if no
// task of the container has been in it.
func (t *Table) FindNamespace(fd int) (n *cred.Namespace, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key, e := t.keyOf(fd)
	if e != 0 {
		return nil, false
	}
	i, ok := t.find(key)
	if !ok {
		t.arriveAll(key)
		i, ok = t.find(key)
	}
	return t.namespaces[i].Load(), ok
}

// arriveAll makes the entry with the key, if a task is there that has made no call since it has
// entered the namespace.
func (t *Table) arriveAll(key namespaceKey) {
	processes, err := t.numbers(".")
	if err != nil {
		return
	}
	for _, pid := range processes {
		c, e := getCookie(pid)
		if e != 0 || !t.owns(c) || !c.has(moving) {
			continue
		}
		if theirs, e := t.keyOfTask(pid); e == 0 && theirs == key {
			if i, e := t.threadState(pid, c); e == 0 {
				_, _ = t.arrive(pid, i) // it has exited, or the table is full
			}
			return
		}
	}
}

// hasKey reports whether the entry i has the key.
func (t *Table) hasKey(i uint32, key namespaceKey) bool {
	e := &t.shared.namespaces[i]
	return atomic.LoadUint32(&e.used) != 0 && (namespaceKey{e.id, e.reusable}) == key
}

// find returns the entry with the key.
func (t *Table) find(key namespaceKey) (uint32, bool) {
	for i := range uint32(maxNamespaces) {
		if t.hasKey(i, key) {
			return i, true
		}
	}
	return 0, false
}

// parentOf returns the entry of the parent of the namespace fd, or before if that is not known.
func (t *Table) parentOf(fd int, before uint32) uint32 {
	parent, e := sys.IoctlInt(fd, unix.NS_GET_PARENT, 0)
	if e != 0 {
		return before
	}
	defer unix.Close(parent)
	key, e := t.keyOf(parent)
	if e != 0 || t.hasKey(before, key) {
		return before
	}
	if i, ok := t.find(key); ok {
		return i
	}
	return before
}

// newNamespace makes an entry for the namespace fd that a task with the state i has created. The
// error is ENOSPC if the table is full.
func (t *Table) newNamespace(key namespaceKey, fd int, parent uint32, i uint16) (*cred.Namespace, unix.Errno) {
	at, ok := t.freeNamespace()
	if !ok || t.pinned > t.maxPinned {
		t.reclaim() // states, which refer to namespaces
		t.reclaimNamespaces(parent)
		t.maxPinned = max(minPinned, 2*t.pinned)
		if at, ok = t.freeNamespace(); !ok {
			t.reportNamespaces.Do(func() {
				slog.Error("a task cannot use its user namespace (ENOSPC): the container already has the maximum number of them",
					"namespaces", maxNamespaces-1)
			})
			return nil, unix.ENOSPC
		}
	}
	if key.reusable != 0 {
		if e := t.pin(at, fd); e != 0 {
			return nil, e
		}
	}
	s := t.state(i)
	e := &t.shared.namespaces[at]
	e.reusable, e.id = key.reusable, key.id
	e.parent, e.owner, e.group = parent, s.UID.Effective, s.GID.Effective
	e.flags = 0
	if s.CapableIn(t.namespaces[parent].Load(), unix.CAP_SETFCAP) {
		e.flags |= couldSetfcap
	}
	if t.namespaces[parent].Load().SetgroupsDenied() {
		e.flags |= setgroupsDenied
	}
	e.uids, e.gids = 0, 0
	atomic.StoreUint32(&e.used, 1)
	return t.loadNamespace(at), 0
}

// freeNamespace returns a free entry.
func (t *Table) freeNamespace() (uint32, bool) {
	for i := uint32(1); i < maxNamespaces; i++ {
		if atomic.LoadUint32(&t.shared.namespaces[i].used) == 0 {
			return i, true
		}
	}
	return 0, false
}

// reclaimNamespaces frees the entries that no state and no task refers to, and which contain no
// other, except keep. A namespace that only a descriptor keeps alive loses its maps.
func (t *Table) reclaimNamespaces(keep uint32) {
	var used [maxNamespaces]bool
	mark := func(n uint32) {
		for ; n != 0; n = t.shared.namespaces[n].parent {
			used[n] = true
		}
	}
	mark(keep)
	for s, hash := range t.shared.hashes[:t.shared.top] {
		if hash != 0 {
			mark(t.shared.fixed[s].namespace)
			mark(t.shared.fixed[s].program / programIndex)
		}
	}
	processes, err := t.numbers(".")
	if err != nil {
		slog.Error("reclaiming unused user namespaces failed", "err", err)
		return
	}
	for _, pid := range processes {
		c, e := getCookie(pid)
		if e != 0 || !t.owns(c) || !c.has(moving) {
			continue
		}
		if key, e := t.keyOfTask(pid); e == 0 {
			if n, ok := t.find(key); ok {
				mark(n)
			}
		}
	}
	for i := uint32(1); i < maxNamespaces; i++ {
		if !used[i] {
			t.forgetNamespace(i)
		}
	}
}

// forgetNamespace frees the entry i.
func (t *Table) forgetNamespace(i uint32) {
	atomic.StoreUint32(&t.shared.namespaces[i].used, 0)
	t.namespaces[i].Store(nil)
	if t.pins[i] != 0 {
		unix.Close(t.pins[i])
		t.pins[i] = 0
		t.pinned--
	}
}

// mapKernel makes the kernel map the one id that it knows in the namespace of the thread tid, so
// that the thread can make files and execute programs there.
func (t *Table) mapKernel(tid uint32) unix.Errno {
	initial := &t.shared.fixed[initial]
	e := userns.MapRoot(t.proc, tid, initial.uid.Real, initial.gid.Real)
	if e != 0 && e != unix.ESRCH {
		slog.Error("cannot map an id in a user namespace that a program has created", "pid", tid, "err", e)
	}
	return e
}

// noteContainer stores the key of the container's user namespace, the supervisor's.
func (t *Table) noteContainer() unix.Errno {
	fd, e := sys.Openat(t.proc, unsafe.StringData("self/ns/user\x00"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if e != 0 {
		return e
	}
	defer unix.Close(fd)
	key, e := t.keyOf(fd)
	if e != 0 {
		return e
	}
	container := &t.shared.namespaces[0]
	container.id, container.reusable = key.id, key.reusable
	atomic.StoreUint32(&container.used, 1)
	return 0
}
