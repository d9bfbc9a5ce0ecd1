package supervisor

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/handlers"
	"github.com/rootless-containers/subuidless/internal/identity"
	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/statistics"
	"github.com/rootless-containers/subuidless/internal/svipc"
	"github.com/rootless-containers/subuidless/internal/unotify"
)

// journal is shared memory that outlives the worker, because the keeper holds its file.
// It records which notifications the worker has received and not answered. That is
// free of cost: the kernel writes notifications right into it. It also holds what the
// container records for inodes of the host. The package comment lists the threads that
// use each part.
type journal struct {
	rootsDiffer atomic.Uint32 // 1: tasks may have different root directories
	sharing     atomic.Uint32 // see accelerate.New
	_           [56]byte      // the slots start at a cache line
	slots       [maxListeners * maxReceivers]slot
	interrupted interruptedTable
	hostOwners  owner.HostOwners
	sockets     handlers.SocketRecords
	waiting     [maxWaiting]waitingCall
	spares      [maxSpares]spareSlot
}

const (
	maxListeners = identity.MaxListeners
	maxReceivers = 16 // of one listener, with slots of its own
	maxSpares    = 240
)

// slot is what one receiver works on.
type slot struct {
	notif    unotify.Notif   // written by the kernel; ID is 0 if there is none
	resp     unotify.Resp    // the answer, if its ID is that of notif
	attempts uint32          // the number of workers that have died while handling notif
	previous uint32          // see handlers.Call.Previous
	intent   handlers.Intent // see handlers.Call.Intent; valid if its ID is that of notif
	_        [32]byte        // slots are cache lines
}

// identitiesOffset is the offset of the table of identities in the journal's file: the
// page after the journal.
const identitiesOffset = (int64(unsafe.Sizeof(journal{})) + maxPage - 1) / maxPage * maxPage

// ipcOffset is the offset of the owners of IPC objects: the page after the identities.
const ipcOffset = (identitiesOffset + identity.Size + maxPage - 1) / maxPage * maxPage

// statisticsOffset is the offset of the counters, which end the file: the page after the owners of
// IPC objects.
const statisticsOffset = (ipcOffset + svipc.Size + maxPage - 1) / maxPage * maxPage

// maxPage is the largest page size of the supported architectures.
const maxPage = 64 << 10

// newJournal creates the file of an empty journal, an empty table of identities, an empty table of
// the owners of IPC objects, and counters that are 0. The file is sparse.
func newJournal() (int, error) {
	fd, err := unix.MemfdCreate("subuidless journal", unix.MFD_CLOEXEC)
	if err != nil {
		return -1, os.NewSyscallError("memfd_create", err)
	}
	if err := unix.Ftruncate(fd, statisticsOffset+statistics.Size); err != nil {
		unix.Close(fd)
		return -1, os.NewSyscallError("ftruncate", err)
	}
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil { // see undertaker.go
		unix.Close(fd)
		return -1, os.NewSyscallError("flock", err)
	}
	return fd, nil
}

// mapJournal maps the journal in the file fd.
func mapJournal(fd int) (*journal, error) {
	m, err := unix.Mmap(fd, 0, int(unsafe.Sizeof(journal{})), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, fmt.Errorf("mmap the journal: %w", err)
	}
	return (*journal)(unsafe.Pointer(&m[0])), nil
}

// spareSlot is a slot for a receiver of any listener whose own slots are all in use.
type spareSlot struct {
	slot  slot
	taken atomic.Uint32 // 1 + the index of its listener; 0: free
	_     [60]byte      // slots are cache lines
}

// of returns the slots of the listener with the given index.
func (j *journal) of(index int) []slot {
	return j.slots[index*maxReceivers : (index+1)*maxReceivers]
}

// takeSpare takes a free spare slot for the listener with the given index. It returns nil if there
// is none.
func (j *journal) takeSpare(index int) *spareSlot {
	for i := range j.spares {
		if s := &j.spares[i]; s.taken.CompareAndSwap(0, uint32(index)+1) {
			return s
		}
	}
	return nil
}

// sparesOf returns the spare slots that the listener with the given index has taken.
func (j *journal) sparesOf(index int) (taken []*spareSlot) {
	for i := range j.spares {
		if s := &j.spares[i]; s.taken.Load() == uint32(index)+1 {
			taken = append(taken, s)
		}
	}
	return taken
}

// release frees the slot, which holds no notification.
func (s *spareSlot) release() { s.taken.Store(0) }

// rootsMayDiffer reports whether tasks of the container may have different root
// directories.
func (j *journal) rootsMayDiffer() bool { return j.rootsDiffer.Load() != 0 }
