package owner

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// hints say what the sidecar does not have, so that most calls need not look there. They are a
// file that all containers of a user on this machine map, one for each boot.
//
// A hint is only worth something if it says that there is nothing: every other value, also
// that of a file that somebody has truncated or that a full file system has no room for, means
// that there may be something. So no damage to the file leads to a wrong owner.
//
// Readers use the mapping. Writers call pwrite(2), which tells all processes that map the file
// and cannot cause SIGBUS. The fields are constant, except for the contents of the page.
type hints struct {
	page *hintsPage
	file int // open for reading and writing; -1 if the page is private
}

// hintsPage is what the file of hints begins with.
type hintsPage struct {
	words  [hintCount]atomic.Uint32
	filter [filterSize / 4]atomic.Uint32
}

// A hint is about one kind of thing that the sidecar may have.
type hint int

const (
	hintEntries  hint = iota // entries
	hintFiles                // attribute files
	hintDevices              // placeholders of devices, with records in the sidecar or in inodes
	hintSecurity             // stored security.* attributes: see Store.SecurityInUse
	hintRefused              // entries of inodes whose file system has refused the attribute: see refuses

	hintCount
)

// offset returns the offset of the word in the page.
func (w hint) offset() uintptr { return 4 * uintptr(w) }

// Values of a word. Others mean that there may be something, too.
const (
	mayExist uint32 = 0
	counting uint32 = 1          // a process looks whether there is something: see Settle
	absent   uint32 = 0x656e6f6e // "none": there is nothing
)

// filterSize is the number of bytes of a Bloom filter: inodes whose number selects a byte with
// the value noInode have neither an entry nor an attribute file. Most sidecars have far fewer
// entries.
const filterSize = 1 << 14

const noInode = 0xff

// filterOffset returns the offset in the page of the byte that the number of an inode selects.
func filterOffset(ino uint64) uintptr {
	return unsafe.Offsetof(hintsPage{}.filter) + uintptr(ino*0x9e3779b97f4a7c15>>(64-14)) // Fibonacci hashing
}

// hintsFile is the name of the file in the directory of the boot.
const hintsFile = "hints"

// markers are the names of empty files in the sidecar that make a hint last longer than a boot.
var markers = map[hint]string{hintDevices: "has-devices", hintSecurity: "has-security", hintRefused: "has-refused"}

// newHints returns private hints: there is nothing if empty, else there may be everything.
func newHints(empty bool) hints {
	h := hints{page: new(hintsPage), file: -1}
	if !empty {
		return h
	}
	for i := range h.page.words {
		h.page.words[i].Store(absent)
	}
	for i := range h.page.filter {
		h.page.filter[i].Store(^uint32(0))
	}
	return h
}

// openHints maps the hints in the directory of the boot that the descriptor boot refers to. If
// that fails, for example because the file system is full or read-only, it returns private ones
// that say nothing. Fresh reports whether nobody has looked yet what the sidecar has.
func openHints(boot int) (h hints, fresh bool) {
	fd, err := unix.Openat(boot, hintsFile, unix.O_RDWR|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return newHints(false), false
	}
	const size = int64(unsafe.Sizeof(hintsPage{}))
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil && (st.Size < size || st.Blocks*512 < size) {
		// Without blocks, a write to the mapping could fail for lack of space.
		err = unix.Fallocate(fd, 0, 0, size)
	}
	var m []byte
	if err == nil {
		m, err = unix.Mmap(fd, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	}
	if err != nil {
		unix.Close(fd)
		return newHints(false), false
	}
	h = hints{page: (*hintsPage)(unsafe.Pointer(&m[0])), file: fd}
	return h, h.load(hintEntries.offset()) == mayExist
}

// mayHave reports whether there may be a thing of this kind.
func (h *hints) mayHave(w hint) bool { return h.load(w.offset()) != absent }

// mayHaveInode reports whether an inode with this number may have an entry or attribute file.
func (h *hints) mayHaveInode(ino uint64) bool {
	at := filterOffset(ino)
	return uint8(h.load(at&^3)>>(8*(at&3))) != noInode
}

// load returns the word at an offset of the page. If somebody has truncated the file, the kernel
// has no page to read from, and sends SIGBUS. A private page of zeros then takes its place.
//
// Nothing else reads the page of a file: even to take the address of a field may read it.
func (h *hints) load(offset uintptr) (value uint32) {
	if h.file >= 0 {
		defer h.replaceIfGone(debug.SetPanicOnFault(true))
	}
	return (*atomic.Uint32)(unsafe.Add(unsafe.Pointer(h.page), offset)).Load()
}

// replaceIfGone is called by defer: after SIGBUS it replaces the mapping. It restores what
// debug.SetPanicOnFault returned before the access.
func (h *hints) replaceIfGone(panicked bool) {
	debug.SetPanicOnFault(panicked)
	r := recover()
	if r == nil {
		return
	}
	const size = unsafe.Sizeof(hintsPage{})
	at := unsafe.Pointer(h.page)
	if fault, ok := r.(interface{ Addr() uintptr }); !ok || fault.Addr()-uintptr(at) >= size {
		panic(r)
	}
	if _, err := unix.MmapPtr(-1, 0, at, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_FIXED); err != nil {
		panic(err)
	}
}

// note makes it known that there may be a thing of this kind. The caller calls it before it
// creates the thing, and once more afterwards: see Settle.
func (h *hints) note(w hint) {
	if h.file < 0 {
		h.page.words[w].Store(mayExist)
		return
	}
	h.write(w.offset(), 4)
}

// noteInode is note for the entry or attribute file of an inode with this number.
func (h *hints) noteInode(ino uint64) {
	at := filterOffset(ino)
	if h.file < 0 {
		word := (at - unsafe.Offsetof(h.page.filter)) / 4
		h.page.filter[word].And(^(uint32(noInode) << (8 * (at & 3))))
		return
	}
	h.write(at, 1)
}

// write writes size bytes of zeros at an offset of the file. That the file system has no room for
// them means that the file has no other value there.
func (h *hints) write(offset uintptr, size int) {
	var zeros [4]byte
	sys.Pwrite(h.file, zeros[:size], int64(offset))
}

// Settle finds out what the sidecar has, and lets containers skip the look-up of the rest from
// now on.
//
// What a container creates meanwhile is not lost: it calls note afterwards, too. So either the
// thing is seen here, or the value counting is not there any more.
func (s *Sidecar) Settle() error {
	h := &s.hints
	if h.file < 0 {
		return nil
	}
	// Of two processes that count, one could take the other's value for its own.
	if err := unix.Flock(h.file, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil // the other one does it, or the file system has no locks
	}
	defer unix.Flock(h.file, unix.LOCK_UN)
	defer h.replaceIfGone(debug.SetPanicOnFault(true))

	const countingBytes = counting * 0x01010101
	for i := range h.page.words {
		h.page.words[i].Store(counting)
	}
	for i := range h.page.filter {
		h.page.filter[i].Store(countingBytes)
	}
	entries, err := s.Entries()
	if err != nil {
		return err
	}
	found := newHints(true)
	for _, e := range entries {
		found.noteInode(e.Inode.Inode)
		if e.Attributes {
			found.note(hintFiles)
		} else {
			found.note(hintEntries)
		}
	}
	for w, name := range markers {
		switch err := unix.Faccessat(s.dir, name, unix.F_OK, 0); {
		case err == nil:
			found.note(w)
		case !errors.Is(err, unix.ENOENT):
			return fmt.Errorf("looking for %s in the sidecar: %w", name, err)
		}
	}
	for i := range found.page.words {
		h.page.words[i].CompareAndSwap(counting, found.page.words[i].Load())
	}
	for i := range found.page.filter {
		h.page.filter[i].CompareAndSwap(countingBytes, found.page.filter[i].Load())
	}
	return nil
}

// noteLasting is note for one of the markers. If the marker cannot be created, the hint ends with
// the boot. It is on the disk before the thing is created, which may be on another file system: after
// a power cut there must not be a thing without its marker.
func (s *Store) noteLasting(w hint) {
	if s.noted[w].Load() {
		return
	}
	s.hints.note(w)
	if s.sidecar != nil {
		createDurably(s.sidecar.dir, markers[w])
		s.hints.note(w)
	}
	s.noted[w].Store(true)
}

// createDurably creates an empty file in the directory that the descriptor dir refers to, and waits
// until it is on the disk, unless it exists.
func createDurably(dir int, name string) {
	fd, err := unix.Openat(dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return
	}
	_ = fsync(fd) // without effect on a file system that has none
	unix.Close(fd)
	if fd, err = unix.Openat(dir, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err == nil {
		_ = fsync(fd)
		unix.Close(fd)
	}
}

// fsync is fsync(2), except in a test.
var fsync = unix.Fsync

// importUsed turns the file "used" of earlier versions into markers, and removes it. Its second
// and third words were not 0 if there were devices and security attributes.
func importUsed(dir string) error {
	const name = "used"
	path := dir + "/" + name
	words, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for at, w := range map[int]hint{4: hintDevices, 8: hintSecurity} {
		if len(words) >= at+4 && string(words[at:at+4]) != "\x00\x00\x00\x00" {
			if err := os.WriteFile(dir+"/"+markers[w], nil, 0o600); err != nil {
				return err
			}
		}
	}
	return os.Remove(path)
}
