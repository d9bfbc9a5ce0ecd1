package supervisor

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/handlers"
	"github.com/rootless-containers/subuidless/internal/identity"
	"github.com/rootless-containers/subuidless/internal/unotify"
)

// journal is memory that outlives the worker: the keeper holds it too. It tells
// a new worker what the old one had received and not answered.
//
// It costs nothing to keep, because the kernel writes each notification right
// into it.
type journal struct {
	rootsDiffer atomic.Uint32 // the tasks need not have the same root directory any more
	_           [60]byte
	slots       [maxListeners * maxReceivers]slot
	interrupted interruptedTable
}

const (
	maxListeners = identity.MaxListeners
	maxReceivers = 16 // of one listener
)

// slot is what one receiving thread is at.
type slot struct {
	notif    unotify.Notif   // ID is 0 if there is none
	resp     unotify.Resp    // the answer, if its ID is that of notif
	attempts uint32          // workers that have died over notif
	previous uint32          // see handlers.Call
	intent   handlers.Intent // what is being made for notif
}

// identitiesOffset is where the table of identities starts in the journal's
// file: the page after the journal.
const identitiesOffset = (int64(unsafe.Sizeof(journal{})) + maxPage - 1) / maxPage * maxPage

// maxPage is the largest page size of the machines that Go runs on.
const maxPage = 64 << 10

// newJournal returns the file of an empty journal, and an empty table of
// identities. The file is sparse.
func newJournal() (int, error) {
	fd, err := unix.MemfdCreate("subuidless journal", unix.MFD_CLOEXEC)
	if err != nil {
		return -1, os.NewSyscallError("memfd_create", err)
	}
	if err := unix.Ftruncate(fd, identitiesOffset+identity.Size); err != nil {
		unix.Close(fd)
		return -1, os.NewSyscallError("ftruncate", err)
	}
	return fd, nil
}

// mapJournal maps the journal in the file fd.
func mapJournal(fd int) (*journal, error) {
	m, err := unix.Mmap(fd, 0, int(unsafe.Sizeof(journal{})), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, fmt.Errorf("mmap of the journal: %w", err)
	}
	return (*journal)(unsafe.Pointer(&m[0])), nil
}

// of returns the slots of the listener with this index.
func (j *journal) of(index int) []slot {
	return j.slots[index*maxReceivers : (index+1)*maxReceivers]
}

func (j *journal) rootsMayDiffer() bool { return j.rootsDiffer.Load() != 0 }

// MayDiffer implements handlers.RootWatch.
func (r *rootCache) MayDiffer() bool { return r.journal.rootsMayDiffer() }
