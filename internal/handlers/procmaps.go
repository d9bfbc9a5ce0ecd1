package handlers

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/identity"
	"github.com/rootless-containers/subuidless/internal/idmap"
	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/sys"
	"github.com/rootless-containers/subuidless/internal/target"
)

// The files uid_map, gid_map and setgroups in /proc/PID. A program that opens one for reading
// gets a copy of the emulated contents. One that opens it for writing gets a file in memory:
// write(2) is not notified, so what it contains takes effect with the next call of any task of
// the container that is notified. If no text could be allowed, the file cannot be written to,
// and one for a process without privileges takes no more than the single line that it may write.

// mapFile is a file of /proc/PID about its user namespace.
type mapFile int

const (
	noMapFile mapFile = iota
	uidMapFile
	gidMapFile
	setgroupsFile
)

// mapFileNames are the names of the files in /proc/PID.
var mapFileNames = [...]string{uidMapFile: "uid_map", gidMapFile: "gid_map", setgroupsFile: "setgroups"}

// kind returns which map the file, uid_map or gid_map, has.
func (f mapFile) kind() cred.MapKind {
	if f == uidMapFile {
		return cred.UIDMap
	}
	return cred.GIDMap
}

// mapFileNamed returns which file p may be, by its name.
func mapFileNamed(p *target.Path) mapFile {
	for f := uidMapFile; f <= setgroupsFile; f++ {
		if p.IsNamed(mapFileNames[f]) {
			return f
		}
	}
	return noMapFile
}

// containerMap is what a process of the container reads in its own uid_map and gid_map: all ids
// are mapped. A single line for them would be that of the initial user namespace, in which
// programs expect to be allowed more.
var containerMap = idmap.Map{{Inside: 0, Outside: 0, Count: 1}, {Inside: 1, Outside: 1, Count: 1<<32 - 2}}

// openMapFile handles an open of the inode, the file f of the task, with these flags of open(2),
// that the caller's permissions allow.
func (c *Call) openMapFile(i *inode, f mapFile, task uint32, flags uint64) Result {
	s, e := c.Identities.Get(task)
	if e != 0 {
		return Continue
	}
	var fd int
	switch {
	case flags&unix.O_ACCMODE == unix.O_RDONLY:
		var err error
		if fd, err = snapshot(c.mapText(f, s.Namespace)); err != nil {
			return Continue
		}
	case i.preferEROFS(unix.EPERM) == unix.EROFS:
		return Errno(unix.EROFS)
	case f == setgroupsFile && !c.identity().CapableIn(s.Namespace, unix.CAP_SYS_ADMIN):
		return Errno(unix.EACCES) // user_namespaces(7): "opening the file for writing"
	default:
		if fd, e = c.Maps.open(f, s.Namespace, c.identity().Credentials); e != 0 {
			return Errno(e)
		}
	}
	return File(fd, flags&unix.O_CLOEXEC != 0)
}

// openMapFileAt handles an open for writing by an unrestricted caller if p is the file f of a
// task. Done is false if it is another file.
func (c *Call) openMapFileAt(p target.Path, f mapFile, flags uint64) (r Result, done bool) {
	i, e := c.openPath(p)
	if e != 0 {
		return Continue, false
	}
	defer c.close(i)
	task, e := c.taskOf(i)
	if e != 0 || i.kind() != unix.S_IFREG {
		return Continue, false
	}
	return c.openMapFile(i, f, task, flags), true
}

// mapText returns the contents of the file f of a task in the namespace n, as the caller sees
// them.
//
// user_namespaces(7): the second field of a line is an id in the parent namespace if the reader is
// in the namespace of the file, otherwise in that of the reader.
func (c *Call) mapText(f mapFile, n *cred.Namespace) []byte {
	if f == setgroupsFile {
		if n.SetgroupsDenied() {
			return []byte("deny\n")
		}
		return []byte("allow\n")
	}
	reader, m := c.namespace(), containerMap
	if n != nil {
		if reader == n {
			reader = n.Parent
		}
		m = n.UIDs()
		if f == gidMapFile {
			m = n.GIDs()
		}
	}
	if f == uidMapFile {
		return m.Append(nil, reader.SeenUID)
	}
	return m.Append(nil, reader.SeenGID)
}

// MapStore keeps files for the next worker: see package supervisor.
type MapStore interface {
	// Put adds a duplicate of a file, with its description.
	Put(description []byte, fd int) error
	// Take removes the file that has been added first. Ok is false if there is none. The caller
	// closes the descriptor.
	Take() (description []byte, fd int, ok bool)
}

// MapWrites are the files in memory that programs write maps to.
type MapWrites struct {
	pending atomic.Int32 // len(files)
	mu      sync.Mutex
	files   []mapWrite
	store   MapStore // nil: none, in tests
	stored  int      // the number of files in the store
}

// mapWrite is a file that a program has opened to write a map to.
type mapWrite struct {
	file   mapFile
	of     *cred.Namespace
	opener cred.Credentials
	fd     int  // our descriptor, for reading
	again  bool // an earlier worker may have used the text
}

// storedMapWrite is the description of a mapWrite in the store.
type storedMapWrite struct {
	File            mapFile
	Of              uint32           // index of the namespace
	Opener          cred.Credentials // without groups and namespace
	OpenerNamespace uint32           // index
}

// maxStored limits the files in the store. A few more are lost if the worker is killed.
const maxStored = 64

// put adds the file to the store.
func (w *MapWrites) put(f *mapWrite) {
	if w.store == nil || w.stored >= maxStored {
		return
	}
	d := storedMapWrite{File: f.file, Of: f.of.Index, Opener: f.opener}
	if n := f.opener.Namespace; n != nil {
		d.OpenerNamespace = n.Index
	}
	d.Opener.Groups, d.Opener.Namespace = nil, nil
	text, err := json.Marshal(d)
	if err == nil {
		err = w.store.Put(text, f.fd)
	}
	if err != nil {
		slog.Warn("an id map is lost if the worker is killed before it is used", "err", err)
		return
	}
	w.stored++
}

// Restore continues with the files that an earlier worker has left in the store.
func (w *MapWrites) Restore(store MapStore, t *identity.Table) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.store = store
	seen := map[owner.Inode]bool{} // the worker may have died while it stored them anew
	for {
		text, fd, ok := store.Take()
		if !ok {
			break
		}
		var d storedMapWrite
		var st unix.Stat_t
		err := json.Unmarshal(text, &d)
		of := t.Namespace(d.Of)
		inode := owner.Inode{}
		if err == nil && sys.Fstat(fd, &st) == 0 {
			inode = owner.Inode{Dev: st.Dev, Ino: st.Ino}
		}
		if err != nil || of == nil || seen[inode] {
			unix.Close(fd)
			continue
		}
		seen[inode] = true
		d.Opener.Namespace = t.Namespace(d.OpenerNamespace)
		w.files = append(w.files, mapWrite{d.File, of, d.Opener, fd, true})
	}
	for i := range w.files {
		w.put(&w.files[i])
	}
	w.pending.Store(int32(len(w.files)))
}

// storeAgain replaces the contents of the store by the files that are left.
func (w *MapWrites) storeAgain() {
	old := w.stored
	w.stored = 0
	for i := range w.files { // first, in case the worker dies meanwhile
		w.put(&w.files[i])
	}
	for range old {
		if _, fd, ok := w.store.Take(); ok {
			unix.Close(fd)
		}
	}
}

// open returns a descriptor for writing to the file f of the namespace of. The error is that of
// memfd_create(2).
func (w *MapWrites) open(f mapFile, of *cred.Namespace, opener cred.Credentials) (int, unix.Errno) {
	fd, err := unix.MemfdCreate(mapFileNames[f], unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return -1, err.(unix.Errno)
	}
	switch {
	case f == setgroupsFile:
		if cred.MayWriteSetgroups(of) != 0 {
			return sealed(fd, unix.F_SEAL_WRITE)
		}
	case cred.MayWriteMap(opener, of, f.kind()) != 0:
		return sealed(fd, unix.F_SEAL_WRITE)
	default:
		if longest := cred.LongestMap(opener, of, f.kind()); longest > 0 {
			if err := unix.Ftruncate(fd, int64(longest)); err != nil {
				unix.Close(fd)
				return -1, err.(unix.Errno)
			}
			if fd, e := sealed(fd, unix.F_SEAL_GROW|unix.F_SEAL_SHRINK); e != 0 {
				return fd, e
			}
		}
	}
	own, e := sys.Reopen(fd, unix.O_RDONLY|unix.O_CLOEXEC)
	if e == 0 {
		var theirs int
		if theirs, e = sys.Reopen(fd, unix.O_WRONLY|unix.O_CLOEXEC); e == 0 {
			unix.Close(fd) // so that the kernel knows when nobody writes
			w.mu.Lock()
			w.files = append(w.files, mapWrite{f, of, opener, own, false})
			w.put(&w.files[len(w.files)-1])
			w.pending.Add(1)
			w.mu.Unlock()
			return theirs, 0
		}
		unix.Close(own)
	}
	unix.Close(fd)
	return -1, e
}

// sealed adds seals to the file in memory fd. It closes fd if it fails.
func sealed(fd, seals int) (int, unix.Errno) {
	if e := sys.Seal(fd, seals); e != 0 {
		unix.Close(fd)
		return -1, e
	}
	return fd, 0
}

// settle lets what has been written take effect.
func (w *MapWrites) settle(t *identity.Table) {
	if w.pending.Load() == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	waiting := w.files[:0]
	for _, f := range w.files {
		if f.settle(t) {
			unix.Close(f.fd)
		} else {
			waiting = append(waiting, f)
		}
	}
	if settled := len(w.files) - len(waiting); settled > 0 {
		w.files = waiting
		w.storeAgain()
		w.pending.Store(int32(len(waiting)))
	}
}

// settle lets the text in the file take effect, if a program has written it. It reports whether
// the file has served its purpose: nobody will write to it again, or that would be without
// effect.
func (w *mapWrite) settle(t *identity.Table) bool {
	// fcntl(2): a read lease can be placed only if no process has the file open for writing. It is
	// tried first, because a program may write and close the file between two calls.
	closed := sys.SetLease(w.fd, unix.F_RDLCK) == 0
	text := make([]byte, unix.Getpagesize())
	n, e := sys.Pread(w.fd, text)
	if e != 0 || n == 0 || text[0] == 0 { // not written yet
		return closed
	}
	if e := w.apply(t, text[:n]); e != 0 && !w.again {
		slog.Warn("a program has written a map that its user namespace cannot have; write(2) could not report that",
			"file", mapFileNames[w.file], "text", string(bytes.TrimRight(text[:n], "\x00")), "err", e)
	}
	return true
}

// apply makes text the contents of the file. The errors are those of write(2).
func (w *mapWrite) apply(t *identity.Table, text []byte) unix.Errno {
	if w.file == setgroupsFile {
		e := cred.WriteSetgroups(w.of, bytes.TrimRight(text, "\x00"))
		if e == 0 {
			t.StoreSetgroups(w.of)
		}
		return e
	}
	m, e := cred.NewMap(w.opener, w.of, w.file.kind(), text)
	if e == 0 {
		t.SetMap(w.of, w.file.kind(), m)
	}
	return e
}
