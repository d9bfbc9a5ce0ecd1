package owner

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// The sidecar forgets an inode when nothing can ask for its record any more. Removing the last
// name is too early: a task that has the file open may call fstat(2), or give it a new name.
// inotify(7) knows the moment: IN_DELETE_SELF comes when the last name and the last
// descriptor are gone. So an inode with an entry gets a watch before a name is removed. If the
// removal fails, the watch stays and does no harm.
//
// Of an inode with several names, the event comes with the last name, even if it is open by
// another one (the kernel's dentry_unlink_inode). The sidecar keeps what belongs to such an
// inode.

// removals are the inodes that the sidecar forgets when they are gone.
type removals struct {
	mu      sync.Mutex
	started bool
	events  syscall.RawConn   // the inotify instance; nil if there is none
	watched map[int32]removal // by watch descriptor
	limit   int               // of watched
}

// removal is what the sidecar has about a watched inode.
type removal struct {
	key    key
	linked bool        // it had several names when one was removed
	entry  unix.Stat_t // of the entry, if another inode might have the same key
}

// minWatched is how many inodes a container may always watch: the limit for all programs of a
// user, fs.inotify.max_user_watches, is at least 8192.
const minWatched = 4096

// maxWatched returns how many inodes a container watches at most.
func maxWatched() int {
	const path = "sys/fs/inotify/max_user_watches" // in /proc
	text, err := os.ReadFile(path)
	if err != nil {
		return minWatched
	}
	limit, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return minWatched
	}
	return max(minWatched, limit/4)
}

// Forgets reports whether the sidecar may have something to forget. If not, ForgetPath and
// Forget need not be called.
func (s *Store) Forgets() bool {
	return s.sidecar != nil && (s.sidecar.inUse() || s.hints.mayHave(hintFiles))
}

// ForgetPath makes the sidecar forget the object at path as soon as it is gone. It is called
// before a name is removed, and does not follow a symbolic link in the final component. It
// costs one system call if the sidecar has nothing about the object.
func (s *Store) ForgetPath(path *byte) {
	var k key
	if k.fillIf(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, s.hints) != 0 || !s.sidecar.knows(&k) {
		return
	}
	fd, e := sys.Openat(unix.AT_FDCWD, path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if e != 0 {
		return
	}
	defer unix.Close(fd)
	s.Forget(fd)
}

// Forget is ForgetPath for the object that the descriptor fd, which may be an O_PATH one,
// refers to. Something stays in the sidecar if the kernel grants no watch; it does no harm.
func (s *Store) Forget(fd int) {
	var k key
	if k.fillIf(fd, sys.Empty, unix.AT_EMPTY_PATH, s.hints) != 0 || !s.sidecar.knows(&k) {
		return
	}
	var st unix.Stat_t
	if sys.Fstat(fd, &st) != 0 {
		return
	}
	r := removal{key: k, linked: st.Mode&unix.S_IFMT != unix.S_IFDIR && st.Nlink > 1}
	if k.isWeak() {
		r.entry = s.sidecar.entryStat(&k)
	}
	s.removals.watch(fd, r, s.sidecar)
}

// isWeak reports whether a new inode may get the key of one that is gone.
func (k *key) isWeak() bool { return k.numbers[2] == 0 || k.numbers[3] == 0 }

// knows reports whether there is an entry or attribute file of the inode.
func (s *Sidecar) knows(k *key) bool {
	var target [maxEntry]byte
	if _, e := sys.Readlinkat(s.dirOf(k), &k.name[0], target[:]); e == 0 {
		return true
	}
	if !s.hints.mayHave(hintFiles) {
		return false
	}
	name := k.attributeFileName()
	var st unix.Statx_t
	return sys.Statx(s.dirOf(k), &name[0], unix.AT_SYMLINK_NOFOLLOW, 0, &st) == 0
}

// attributeFileName returns the NUL-terminated name of the attribute file of an inode.
func (k *key) attributeFileName() [len(key{}.name)]byte {
	name := k.name
	copy(name[bytes.IndexByte(name[:], 0):], attributeFileSuffix+"\x00")
	return name
}

// entryStat returns the status of the entry of an inode, or zeros.
func (s *Sidecar) entryStat(k *key) (st unix.Stat_t) {
	if unix.Fstatat(s.dirOf(k), unix.ByteSliceToString(k.name[:]), &st, unix.AT_SYMLINK_NOFOLLOW) != nil {
		return unix.Stat_t{}
	}
	return st
}

// watch watches the inode of fd, and makes the sidecar forget it when it is gone.
func (w *removals) watch(fd int, r removal, from *Sidecar) {
	events := w.instance(from)
	if events == nil {
		return
	}
	// Without the lock: the kernel may ask the server of a FUSE file system, which may be
	// waiting for another receiver. If the inode goes meanwhile, its event is missed.
	var descriptor int
	var e unix.Errno
	err := events.Control(func(instance uintptr) {
		var p sys.FDPath
		descriptor, e = sys.InotifyAddWatch(int(instance), p.Of(fd), unix.IN_DELETE_SELF)
	})
	if err != nil || e != 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	r.linked = r.linked || w.watched[int32(descriptor)].linked
	w.watched[int32(descriptor)] = r
}

// instance returns the inotify instance, and creates it if needed. It is nil if that fails, or
// if there are too many watches.
func (w *removals) instance(from *Sidecar) syscall.RawConn {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.started {
		w.started = true
		w.start(from)
	}
	if len(w.watched) >= w.limit {
		return nil
	}
	return w.events
}

// start creates the inotify instance. The caller holds mu.
func (w *removals) start(from *Sidecar) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return
	}
	// Never closed: it lives as long as its process.
	if w.events, err = os.NewFile(uintptr(fd), "inotify").SyscallConn(); err != nil {
		return
	}
	w.watched, w.limit = map[int32]removal{}, maxWatched()
	go func() {
		_ = w.events.Read(func(events uintptr) bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.handle(int(events), from)
			return false // wait for more
		})
	}()
}

// ForgetGone handles what the kernel has already said about inodes that are gone: the process
// is about to end.
func (s *Store) ForgetGone() {
	w := &s.removals
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.events != nil {
		_ = w.events.Control(func(events uintptr) { w.handle(int(events), s.sidecar) })
	}
}

// handle handles the events that there are. The caller holds mu.
func (w *removals) handle(events int, from *Sidecar) {
	var buf [4096]byte // events without names have 16 bytes
	for {
		n, e := sys.Read(events, buf[:])
		if e != 0 {
			return // EAGAIN
		}
		for at := 0; at+unix.SizeofInotifyEvent <= n; {
			event := (*unix.InotifyEvent)(unsafe.Pointer(&buf[at]))
			at += unix.SizeofInotifyEvent + int(event.Len)
			r, ok := w.watched[event.Wd]
			delete(w.watched, event.Wd)
			if ok && !r.linked && event.Mask&unix.IN_DELETE_SELF != 0 {
				from.forget(&r)
			}
		}
	}
}

// forget removes what belongs to an inode that is gone.
func (s *Sidecar) forget(r *removal) {
	k := &r.key
	if k.isWeak() {
		if now := s.entryStat(k); now.Ino != r.entry.Ino || now.Ctim != r.entry.Ctim {
			return // a new inode with the same key has been recorded
		}
	}
	sys.Unlinkat(s.dirOf(k), &k.name[0], 0)
	name := k.attributeFileName()
	sys.Unlinkat(s.dirOf(k), &name[0], 0)
}
