package owner

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// Temporary holds records that end with a command: a Store that has one writes no owners to
// inodes or to the sidecar. It is the memory of a file without a name, so that it outlives a worker,
// and so that another process can fill it before the command and read it afterwards. Nobody can
// truncate the file: that would kill whoever reads the memory by SIGBUS.
//
// Records are found by device and inode number. The kernel reuses these, so the birth time and a
// hash of the file handle must match, too, as in the names of the sidecar (see key). Nothing has
// to notice that an inode is gone.
//
// Readers need no lock: an entry is complete before a bucket leads to it, and its key does not
// change any more, except by bind. mu admits one writer at a time. Of a writer that dies, an entry
// that no bucket leads to may be left. Blocks of the file are allocated before they are used, so
// that a lack of memory is an error, and not a SIGBUS.
type Temporary struct {
	file    *os.File
	header  *temporaryHeader
	buckets *[temporaryBuckets]atomic.Uint32 // index of the newest entry, or 0
	entries *[maxTemporary]temporaryEntry    // from 1 on
	fdLimit int                              // see keep
	awaited bool                             // see awaitFinish

	mu sync.Mutex // protects changes; a leaf
}

// TemporaryOptions say how a Store with temporary records sees other inodes.
type TemporaryOptions struct {
	// Real, if not nil, is the owner of inodes without a record: the user's ids on the host. If
	// it is nil, every such inode belongs to root, also those of other users of the host.
	Real *ID
	// Keep makes the records exact when the command has ended: inodes that have been removed
	// have none, and the others their present mode. It costs a descriptor for each record.
	Keep bool
}

type temporaryHeader struct {
	created  int64 // ns since 1970: inodes that are younger are not those of loaded records
	keep     uint32
	isReal   uint32
	real     ID
	devices  atomic.Uint32 // 1: there are placeholders
	count    atomic.Uint32 // of entries, including the unused one of index 0
	worker   atomic.Uint32 // process id of the worker that has the descriptors of the entries
	final    atomic.Uint32 // 1: no worker will change the entries any more
	reserved uint32        // entries for which the file has room
}

// temporaryEntry has the size of a cache line.
type temporaryEntry struct {
	dev, ino          uint64 // as in statx(2), the major number in the high half
	birth, generation atomic.Uint64
	id                atomic.Uint64 // uid in the high half, gid in the low half
	device            atomic.Uint64 // number, and the type in the high half; 0: no device
	next              atomic.Uint32 // in the bucket
	mode              atomic.Uint32 // st_mode when the record was made, that of a loaded one, or that of Finish
	nlink             uint32        // likewise; changeMode is added to that of a loaded one
	state             atomic.Uint32 // a descriptor of the inode in the worker, one of the following, or 0
}

const (
	isLoaded = 1 << 31 // the record has been loaded, and nobody has seen its inode yet
	isGone   = 1 << 30 // the inode has no name any more
)

const (
	temporaryBuckets = 1 << 18
	maxTemporary     = 1 << 20
	temporaryBlock   = 4096 // entries by which the file grows

	bucketsOffset = maxPageSize
	entriesOffset = bucketsOffset + temporaryBuckets*4
	temporarySize = entriesOffset + maxTemporary*int64(unsafe.Sizeof(temporaryEntry{}))

	// maxPageSize is the largest page size of the supported architectures.
	maxPageSize = 64 << 10
)

// CreateTemporary creates a file for temporary records. The caller closes it: see Close.
func CreateTemporary(o TemporaryOptions) (*Temporary, error) {
	fd, err := unix.MemfdCreate("subuidless: records", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "records that end with the command")
	t, err := initTemporary(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_REALTIME, &now); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	t.header.created = now.Nano()
	t.header.count.Store(1)
	if o.Keep {
		t.header.keep = 1
	}
	if o.Real != nil {
		t.header.isReal, t.header.real = 1, *o.Real
	}
	return t, nil
}

// initTemporary gives the empty file f its size, which nobody can change any more.
func initTemporary(f *os.File) (*Temporary, error) {
	if err := f.Truncate(temporarySize); err != nil {
		return nil, err
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL); err != nil {
		return nil, os.NewSyscallError("fcntl(F_ADD_SEALS)", err)
	}
	t, err := mapTemporary(f)
	if err == nil {
		err = t.allocate(0, entriesOffset)
	}
	return t, err
}

// OpenTemporary maps the file of CreateTemporary, which another process has created, for the
// calling process, which becomes the one whose Store makes the records.
func OpenTemporary(f *os.File) (*Temporary, error) {
	t, err := mapTemporary(f)
	if err != nil {
		return nil, err
	}
	if t.header.worker.Swap(uint32(os.Getpid())) != 0 {
		// The descriptors were those of a worker that has died.
		for n := range t.header.count.Load() {
			if e := &t.entries[n]; e.state.Load() != isLoaded {
				e.state.Store(0)
			}
		}
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err == nil {
		t.fdLimit = int(min(limit.Cur, 1<<30)) - reservedFDs
	}
	return t, nil
}

func mapTemporary(f *os.File) (*Temporary, error) {
	m, err := unix.Mmap(int(f.Fd()), 0, int(temporarySize), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, &os.PathError{Op: "mmap", Path: f.Name(), Err: err}
	}
	base := unsafe.Pointer(&m[0])
	return &Temporary{
		file:    f,
		header:  (*temporaryHeader)(base),
		buckets: (*[temporaryBuckets]atomic.Uint32)(unsafe.Add(base, bucketsOffset)),
		entries: (*[maxTemporary]temporaryEntry)(unsafe.Add(base, entriesOffset)),
	}, nil
}

// File returns the file, for OpenTemporary in another process.
func (t *Temporary) File() *os.File { return t.file }

// Close closes the file. The memory stays as long as a process maps it.
func (t *Temporary) Close() error { return t.file.Close() }

// allocate makes room in the file.
func (t *Temporary) allocate(offset, size int64) error {
	for {
		err := unix.Fallocate(int(t.file.Fd()), 0, offset, size)
		if err != unix.EINTR {
			return os.NewSyscallError("fallocate", err)
		}
	}
}

// temporaryInode is what identifies an inode, except for the generation.
type temporaryInode struct{ dev, ino, birth uint64 }

func inodeOf(st *unix.Statx_t) temporaryInode {
	i := temporaryInode{dev: uint64(st.Dev_major)<<32 | uint64(st.Dev_minor), ino: st.Ino}
	if st.Mask&unix.STATX_BTIME != 0 {
		i.birth = uint64(st.Btime.Sec)*1e9 + uint64(st.Btime.Nsec)
	}
	return i
}

func (t *Temporary) bucket(dev, ino uint64) *atomic.Uint32 {
	return &t.buckets[(ino^dev<<20)*0x9e3779b97f4a7c15>>(64-18)] // Fibonacci hashing
}

// find returns the newest entry that an inode may have, or nil.
func (t *Temporary) find(i temporaryInode) *temporaryEntry {
	for n := t.bucket(i.dev, i.ino).Load(); n != 0; n = t.entries[n].next.Load() {
		e := &t.entries[n]
		if e.dev != i.dev || e.ino != i.ino {
			continue
		}
		if e.state.Load() == isLoaded {
			if i.birth <= uint64(t.header.created) {
				return e
			}
		} else if e.birth.Load() == i.birth {
			return e
		}
	}
	return nil
}

// lookUp returns the entry of the inode of the descriptor fd, or nil if it has none. Stx is its
// status.
func (t *Temporary) lookUp(fd int, stx *unix.Statx_t) *temporaryEntry {
	i := inodeOf(stx)
	e := t.find(i)
	if e == nil {
		return nil
	}
	generation := generationOf(fd)
	if e.state.Load() == isLoaded {
		t.bind(e, fd, i.birth, generation)
	}
	if e.generation.Load() != generation {
		return nil
	}
	return e
}

// bind makes e, which has been loaded, the entry of an inode that has its numbers.
func (t *Temporary) bind(e *temporaryEntry, fd int, birth, generation uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e.state.Load() == isLoaded {
		e.birth.Store(birth)
		e.generation.Store(generation)
		e.state.Store(t.keep(fd))
	}
}

// generationOf returns the hash of the file handle of the descriptor fd, or 0 if it has none.
func generationOf(fd int) uint64 {
	handle := fileHandle{bytes: uint32(len(fileHandle{}.data))}
	var mount int32
	if sys.NameToHandleAt(fd, sys.Empty, unsafe.Pointer(&handle), &mount, unix.AT_EMPTY_PATH) != 0 {
		return 0
	}
	return fnv64a(handle.data[:handle.bytes])
}

// set makes r, without its ACLs, the record of the inode of the descriptor fd. Stx is the inode's
// status, and e its entry, or nil. The error is ENOSPC.
func (t *Temporary) set(fd int, stx *unix.Statx_t, e *temporaryEntry, r *Record) unix.Errno {
	device := uint64(r.Type)<<32 | r.Rdev&0xffffffff
	t.mu.Lock()
	defer t.mu.Unlock()
	if e == nil {
		var errno unix.Errno
		if e, errno = t.newEntry(); errno != 0 {
			return errno
		}
		i := inodeOf(stx)
		e.dev, e.ino = i.dev, i.ino
		e.birth.Store(i.birth)
		e.generation.Store(generationOf(fd))
		e.mode.Store(uint32(stx.Mode))
		e.nlink = stx.Nlink
		e.state.Store(t.keep(fd))
		e.setOwner(r.ID, device)
		t.publish(e)
	}
	e.setOwner(r.ID, device)
	if r.Type != 0 {
		t.header.devices.Store(1)
	}
	return 0
}

func (e *temporaryEntry) setOwner(id ID, device uint64) {
	e.device.Store(device)
	e.id.Store(uint64(id.UID)<<32 | uint64(id.GID))
}

// newEntry returns the entry to fill and publish. The caller holds mu. The error is ENOSPC.
func (t *Temporary) newEntry() (*temporaryEntry, unix.Errno) {
	n := t.header.count.Load()
	if n == maxTemporary {
		return nil, unix.ENOSPC
	}
	if n >= t.header.reserved {
		const size = int64(unsafe.Sizeof(temporaryEntry{}))
		if t.allocate(entriesOffset+int64(t.header.reserved)*size, temporaryBlock*size) != nil {
			return nil, unix.ENOSPC
		}
		t.header.reserved += temporaryBlock
	}
	return &t.entries[n], 0
}

// publish lets readers find e, the result of newEntry, which is complete. The caller holds mu.
func (t *Temporary) publish(e *temporaryEntry) {
	n := t.header.count.Load()
	t.header.count.Store(n + 1)
	bucket := t.bucket(e.dev, e.ino)
	e.next.Store(bucket.Load())
	bucket.Store(n)
}

// overlay changes r, which has what is stored for the inode of the descriptor fd if recorded is
// true, to what a Store with temporary records shows. It reports whether that is a record. Mapped
// is the Store's.
func (t *Temporary) overlay(fd int, r *Record, recorded bool, mapped ID) bool {
	var stx unix.Statx_t
	if sys.Statx(fd, sys.Empty, unix.AT_EMPTY_PATH, temporaryMask, &stx) != 0 {
		return recorded
	}
	if e := t.lookUp(fd, &stx); e != nil {
		t.fill(r, e, fd, uint32(stx.Mode))
		return true
	}
	if recorded {
		return true
	}
	return t.unknown(&stx, mapped, &r.ID)
}

// temporaryMask is what statx(2) is to return.
const temporaryMask = unix.STATX_TYPE | unix.STATX_MODE | unix.STATX_INO | unix.STATX_BTIME | unix.STATX_UID | unix.STATX_GID | unix.STATX_NLINK

// fill fills r from the entry of the inode of fd. An inode whose mode another program has
// only remembered in the file that has been loaded gets that mode.
func (t *Temporary) fill(r *Record, e *temporaryEntry, fd int, mode uint32) {
	id, device := e.id.Load(), e.device.Load()
	r.ID = ID{UID: uint32(id >> 32), GID: uint32(id)}
	r.Type, r.Rdev = uint32(device>>32), device&0xffffffff
	const permissions = 0o7777
	if e.nlink&changeMode != 0 {
		t.mu.Lock()
		defer t.mu.Unlock()
		if e.nlink&changeMode != 0 {
			if want := e.mode.Load(); want&permissions != mode&permissions && mode&unix.S_IFMT != unix.S_IFLNK &&
				sys.FchmodOPath(fd, want&permissions) == 0 {
				r.NewMode = mode&unix.S_IFMT | want&permissions
			}
			e.nlink &^= changeMode
		}
	}
}

// unknown makes id the owner of an inode without a record, and reports whether that is not the
// one that the kernel shows.
func (t *Temporary) unknown(stx *unix.Statx_t, mapped ID, id *ID) bool {
	*id = Unchanged
	if t.header.isReal != 0 {
		if stx.Uid == mapped.UID {
			id.UID = t.header.real.UID
		}
		if stx.Gid == mapped.GID {
			id.GID = t.header.real.GID
		}
	} else {
		if stx.Uid != mapped.UID {
			id.UID = mapped.UID
		}
		if stx.Gid != mapped.GID {
			id.GID = mapped.GID
		}
	}
	return *id != Unchanged
}

// peek is Store.Peek for temporary records. None means to look for stored ones.
func (t *Temporary) peek(path *byte, follow bool, mapped ID) Presence {
	flags := 0
	if !follow {
		flags = unix.AT_SYMLINK_NOFOLLOW
	}
	var stx unix.Statx_t
	switch sys.Statx(unix.AT_FDCWD, path, flags, temporaryMask, &stx) {
	case 0:
	case unix.ENOENT:
		return Missing
	default:
		return None
	}
	var id ID
	if t.find(inodeOf(&stx)) != nil || t.unknown(&stx, mapped, &id) {
		return Found
	}
	return None
}
