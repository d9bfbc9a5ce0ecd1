package owner

import (
	"fmt"
	"iter"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// SavedInode is a record together with what fakeroot's files say about its inode.
type SavedInode struct {
	Dev, Ino uint64 // as in stat(2)
	Mode     uint32 // with the type that programs see: that of the device for a placeholder
	ID
	Nlink uint64
	Rdev  uint64 // 0 if the inode is no device
}

// changeMode is set in temporaryEntry.nlink until fill has seen the inode of a loaded record.
const changeMode = 1 << 31

// Load adds the record s. It is called before a Store uses t.
func (t *Temporary) Load(s SavedInode) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var device uint64
	switch kind := s.Mode & unix.S_IFMT; kind {
	case unix.S_IFCHR, unix.S_IFBLK:
		device = uint64(kind)<<32 | s.Rdev&0xffffffff
		t.header.devices.Store(1)
	}
	e, errno := t.newEntry()
	if errno != 0 {
		return fmt.Errorf("more than %d records, or not enough memory for them: %w", maxTemporary, errno)
	}
	e.dev, e.ino = uint64(unix.Major(s.Dev))<<32|uint64(unix.Minor(s.Dev)), s.Ino
	e.mode.Store(s.Mode)
	e.nlink = uint32(min(s.Nlink, changeMode-1)) | changeMode
	e.state.Store(isLoaded)
	e.setOwner(s.ID, device)
	t.publish(e)
	return nil
}

// Finish makes the records final, in the worker that has made them, when no task is left that could
// ask for another one.
func (s *Store) Finish() {
	if s.Temporary != nil {
		s.Temporary.finish()
	}
}

func (t *Temporary) finish() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for n := range t.header.count.Load() {
		e := &t.entries[n]
		var st unix.Stat_t
		if fd := e.state.Load(); fd == 0 || fd >= isGone || sys.Fstat(int(fd), &st) != 0 {
			continue
		}
		if e.mode.Store(st.Mode); st.Nlink == 0 {
			e.state.Store(isGone)
		} else {
			e.nlink = uint32(st.Nlink)
			e.state.Store(0)
		}
	}
	t.header.final.Store(1)
}

// maxFinish is how long Saved waits for a worker that is about to end.
const maxFinish = 10 * time.Second

// awaitFinish waits until the worker, whose descriptors cannot be used any more, has made the
// records final.
func (t *Temporary) awaitFinish() {
	if t.awaited {
		return
	}
	t.awaited = true
	pidfd, err := unix.PidfdOpen(int(t.header.worker.Load()), 0)
	if err != nil {
		return // it has ended
	}
	defer unix.Close(pidfd)
	for end := time.Now().Add(maxFinish); t.header.final.Load() == 0 && time.Now().Before(end); {
		poll := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
		if n, err := unix.Poll(poll, 10); n > 0 || err != nil && err != unix.EINTR {
			return
		}
	}
}

// Saved returns the records. Those that have been loaded, and whose inodes nobody has seen, are as
// they were. It may be used once, in the process that has created t, when the command has ended.
// Tasks that go on may change the records meanwhile.
func (t *Temporary) Saved() iter.Seq[SavedInode] {
	return func(yield func(SavedInode) bool) {
		seen := map[Inode]bool{}
		for n := t.header.count.Load() - 1; n > 0; n-- { // the newest first
			e := &t.entries[n]
			inode := Inode{unix.Mkdev(uint32(e.dev>>32), uint32(e.dev)), e.ino}
			if seen[inode] {
				continue
			}
			mode, nlink, ok := t.status(e, inode)
			if !ok {
				continue
			}
			seen[inode] = true
			if !yield(e.saved(inode, mode, nlink)) {
				return
			}
		}
	}
}

// status returns the mode and the number of links of the inode of e; false if it has no name any
// more.
func (t *Temporary) status(e *temporaryEntry, inode Inode) (mode uint32, nlink uint64, ok bool) {
	if fd := e.state.Load(); fd != 0 && fd < isGone {
		var st unix.Stat_t
		path := fmt.Sprintf("/proc/%d/fd/%d", t.header.worker.Load(), fd)
		if unix.Stat(path, &st) == nil && st.Dev == inode.Dev && st.Ino == inode.Ino {
			return st.Mode, uint64(st.Nlink), st.Nlink > 0
		}
		t.awaitFinish()
	}
	return e.mode.Load(), uint64(e.nlink &^ changeMode), e.state.Load() != isGone
}

func (e *temporaryEntry) saved(inode Inode, mode uint32, nlink uint64) SavedInode {
	id, device := e.id.Load(), e.device.Load()
	s := SavedInode{Dev: inode.Dev, Ino: inode.Ino, Mode: mode, Nlink: nlink}
	s.ID = ID{UID: uint32(id >> 32), GID: uint32(id)}.Over(ID{})
	if kind := uint32(device >> 32); kind != 0 {
		s.Mode, s.Rdev = mode&^unix.S_IFMT|kind, device&0xffffffff
	}
	return s
}

// reservedFDs is how many descriptors keep leaves for the handlers.
const reservedFDs = 1024

// keep opens the inode of fd once more if the options say so, and returns the descriptor; 0 if it
// cannot.
func (t *Temporary) keep(fd int) uint32 {
	if t.header.keep == 0 {
		return 0
	}
	var p sys.FDPath
	kept, e := sys.Openat(unix.AT_FDCWD, p.Of(fd), unix.O_PATH|unix.O_CLOEXEC, 0)
	if e != 0 {
		return 0
	}
	if kept >= t.fdLimit {
		unix.Close(kept)
		return 0
	}
	return uint32(kept)
}
