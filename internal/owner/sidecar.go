package owner

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// Sidecar is a directory with the records of inodes that cannot carry one in an extended
// attribute, because their file system does not support it. Earlier versions kept the records
// of all symbolic links, FIFOs, sockets and devices here.
//
// An entry is a symbolic link. Its name identifies the inode (see key). Its target is
// "UID:GID" or, for the placeholder of a device, "UID:GID:c:MAJOR:MINOR" (b for a block
// device). ACLs have no room in it. Attribute files are in the directory, too: see
// attributefile.go.
//
// All containers of a user share the directory, without a lock or a daemon. What makes
// that safe:
//   - symlinkat(2) creates an entry only if there is none, renameat(2) replaces one
//     atomically, and a single readlinkat(2) reads it. Of two writers of the same entry,
//     one wins; readers see the old record or a new one, never a mix.
//   - The first word of the file "used" is not 0 if there may be an entry. Every process maps
//     it shared: a reader that sees 0 may skip the look-up. A writer sets it atomically before
//     it creates an entry, and once more afterwards, in case ClearUsed has not seen the entry.
//     The same file has a Bloom filter of the numbers of inodes that have an entry.
//   - The fields of Sidecar are constant after OpenSidecar.
type Sidecar struct {
	dir      int        // O_PATH descriptor: entries of inodes that outlive a reboot
	volatile int        // O_PATH descriptor: entries of other inodes (pipes, terminals), for this boot
	used     *usedWords // mapped from usedFile
}

// usedWords say what the containers of a user have had, so that the others need no system
// call to look for it. A word is not 0 if there may be such a thing.
type usedWords struct {
	entries  atomic.Uint32 // entries of the sidecar
	devices  atomic.Uint32 // placeholders of devices, with records in the sidecar or in inodes
	security atomic.Uint32 // stored security.* attributes: see Store.SecurityInUse
	files    atomic.Uint32 // attribute files
	filtered atomic.Uint32 // all entries of earlier versions are in filter

	// A Bloom filter: the bit that an inode's number selects is 1 if an inode with this number
	// may have an entry or attribute file.
	filter [filterWords]atomic.Uint32
}

// filterWords is the size of the filter. Most sidecars have far fewer entries than bits, and a
// page has room for it.
const filterWords = 512

// bit returns the place of the bit of an inode's number in the filter.
func (*usedWords) bit(ino uint64) (word int, mask uint32) {
	h := ino * 0x9e3779b97f4a7c15 >> 50 // Fibonacci hashing: the upper 14 bits
	return int(h / 32), 1 << (h % 32)
}

// note puts an inode's number into the filter.
func (u *usedWords) note(ino uint64) {
	word, mask := u.bit(ino)
	u.filter[word].Or(mask)
}

// mayHave reports whether an inode with this number may have an entry or attribute file.
func (u *usedWords) mayHave(ino uint64) bool {
	word, mask := u.bit(ino)
	return u.filter[word].Load()&mask != 0
}

// mayExist is what a writer sets a word of usedWords to. Higher values are those of processes
// that look whether it can be 0: see ClearUsed.
const mayExist = 1

// usedFile is the name of the file that begins with usedWords.
const usedFile = "used"

// bootPrefix comes before the boot id in the name of the directory of volatile entries.
const bootPrefix = "boot-"

// DefaultSidecar returns the path of the calling user's sidecar: subuidless/sidecar in
// $XDG_STATE_HOME or ~/.local/state. It fails if neither XDG_STATE_HOME nor HOME is set.
func DefaultSidecar() (string, error) {
	state := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) { // the XDG Base Directory Specification: ignore relative paths
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("no directory for the owners of symbolic links and devices: %w (set HOME or XDG_STATE_HOME, or use --sidecar)", err)
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "subuidless", "sidecar"), nil
}

// OpenSidecar opens the sidecar in the directory dir, and creates dir if it does not
// exist. The first process to open it after a reboot removes the volatile entries of
// earlier boots. A Sidecar is never closed: it lives as long as its process.
func OpenSidecar(dir string) (*Sidecar, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, err
	}
	volatile := filepath.Join(dir, bootPrefix+strings.TrimSpace(string(boot)))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	switch err := os.Mkdir(volatile, 0o700); {
	case err == nil: // this process is the first one since the reboot
		if err := removeOtherBoots(dir, filepath.Base(volatile)); err != nil {
			return nil, err
		}
	case !errors.Is(err, os.ErrExist):
		return nil, err
	}
	s := new(Sidecar)
	if s.used, err = mapUsedFile(filepath.Join(dir, usedFile)); err != nil {
		return nil, err
	}
	if s.dir, err = unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return nil, &os.PathError{Op: "open", Path: dir, Err: err}
	}
	if s.volatile, err = unix.Open(volatile, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return nil, &os.PathError{Op: "open", Path: volatile, Err: err}
	}
	return s, s.fillFilter()
}

// fillFilter puts the entries of earlier versions, which had no filter, into it.
func (s *Sidecar) fillFilter() error {
	if s.used.filtered.Load() != 0 {
		return nil
	}
	entries, err := s.Entries()
	if err != nil {
		return err
	}
	for _, e := range entries {
		s.used.note(e.Inode.Inode)
		if e.Attributes {
			s.used.files.Store(mayExist)
		}
	}
	s.used.filtered.Store(1)
	return nil
}

// removeOtherBoots removes the directories of volatile entries in dir, except current.
func removeOtherBoots(dir, current string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	for {
		names, err := d.Readdirnames(1024) // there may be many entries
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		for _, name := range names {
			if !strings.HasPrefix(name, bootPrefix) || name == current {
				continue
			}
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
	}
}

// mapUsedFile maps usedFile, and creates the file if needed.
func mapUsedFile(name string) (*usedWords, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := f.Truncate(int64(os.Getpagesize())); err != nil {
		return nil, err
	}
	m, err := unix.Mmap(int(f.Fd()), 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, &os.PathError{Op: "mmap", Path: name, Err: err}
	}
	return (*usedWords)(unsafe.Pointer(&m[0])), nil
}

// inUse reports whether there may be an entry. It is false for a nil Sidecar.
func (s *Sidecar) inUse() bool { return s != nil && s.used.entries.Load() != 0 }

// key identifies an inode by its name in the sidecar,
// "DEVICE-INODE-BIRTH-GENERATION" in hexadecimal.
//
// The kernel reuses inode numbers. Where the file system has file handles, which include
// a generation number, a key still means the same inode as long as the file system
// exists. A birth time in nanoseconds is nearly as good. An inode that has neither is in
// memory only (pipefs, devpts, procfs): its key is volatile, valid for this boot.
type key struct {
	name     [80]byte // NUL-terminated
	volatile bool
	numbers  [4]uint64 // those of the name; the device number also if it is anonymous
}

// fileHandle is struct file_handle of open_by_handle_at(2), with room for MAX_HANDLE_SZ
// bytes.
type fileHandle struct {
	bytes uint32
	typ   int32
	data  [128]byte
}

// fill makes k the key of the object at path, relative to dirfd. Flags are those of
// statx(2). The error is that of statx(2).
func (k *key) fill(dirfd int, path *byte, flags int) unix.Errno {
	return k.fillIf(dirfd, path, flags, nil)
}

// fillIf is fill for an inode that may have an entry, according to the filter in used. The
// error is ENODATA for others.
func (k *key) fillIf(dirfd int, path *byte, flags int, used *usedWords) unix.Errno {
	var st unix.Statx_t
	if e := sys.Statx(dirfd, path, flags, unix.STATX_INO|unix.STATX_BTIME, &st); e != 0 {
		return e
	}
	if used != nil && !used.mayHave(st.Ino) {
		return unix.ENODATA
	}
	handle := fileHandle{bytes: uint32(len(fileHandle{}.data))}
	var mountID int32
	// Unlike statx(2), name_to_handle_at(2) follows a symbolic link only if asked to.
	hflags := flags & unix.AT_EMPTY_PATH
	if flags&unix.AT_SYMLINK_NOFOLLOW == 0 {
		hflags |= unix.AT_SYMLINK_FOLLOW
	}
	e := sys.NameToHandleAt(dirfd, path, unsafe.Pointer(&handle), &mountID, hflags)
	hasHandle, hasBirth := e == 0, st.Mask&unix.STATX_BTIME != 0
	k.volatile = !hasHandle && !hasBirth

	// Anonymous device numbers (major 0: tmpfs, overlayfs, btrfs, NFS) change with each
	// mount.
	device := uint64(st.Dev_major)<<32 | uint64(st.Dev_minor)
	var dev uint64
	if st.Dev_major != 0 || k.volatile {
		dev = device
	}
	var birth, generation uint64
	if hasBirth {
		birth = uint64(st.Btime.Sec)*1e9 + uint64(st.Btime.Nsec)
	}
	if hasHandle {
		generation = fnv64a(handle.data[:handle.bytes])
	}
	k.numbers = [...]uint64{device, st.Ino, birth, generation}
	b := k.name[:0]
	b = append(strconv.AppendUint(b, dev, 16), '-')
	b = append(strconv.AppendUint(b, st.Ino, 16), '-')
	b = append(strconv.AppendUint(b, birth, 16), '-')
	_ = append(strconv.AppendUint(b, generation, 16), 0)
	return 0
}

// fnv64a returns the 64-bit FNV-1a hash of b. Unlike hash/fnv it does not allocate.
func fnv64a(b []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}

// dirOf returns the directory where the entry of k belongs.
func (s *Sidecar) dirOf(k *key) int {
	if k.volatile {
		return s.volatile
	}
	return s.dir
}

// get fills r with the entry of an inode, and reports whether there is a valid one.
func (s *Sidecar) get(k *key, r *Record) bool {
	var target [maxEntry]byte
	n, e := sys.Readlinkat(s.dirOf(k), &k.name[0], target[:])
	return e == 0 && n < maxEntry && r.parseEntry(target[:n])
}

// set makes r the entry of an inode. The error is EOPNOTSUPP if r has ACLs, or that of
// symlinkat(2) or renameat(2).
func (s *Sidecar) set(k *key, r *Record) unix.Errno {
	if r.hasACL() {
		return unix.EOPNOTSUPP
	}
	var target [maxEntry]byte
	_ = append(r.appendEntry(target[:0]), 0)
	s.used.note(k.numbers[1])
	s.used.entries.Store(mayExist)       // before the entry can be seen
	defer s.used.entries.Store(mayExist) // see ClearUsed
	e := sys.Symlinkat(&target[0], s.dirOf(k), &k.name[0])
	if e != unix.EEXIST {
		return e
	}
	fresh := k.name
	end := bytes.IndexByte(fresh[:], 0)
	copy(fresh[end:], ".new\x00")
	for {
		e = sys.Symlinkat(&target[0], s.dirOf(k), &fresh[0])
		if e == unix.EEXIST {
			// Left by a process that was killed here, or in use by one that is here
			// now. That one then finds it missing (ENOENT below), and tries again.
			sys.Unlinkat(s.dirOf(k), &fresh[0], 0)
			continue
		}
		if e != 0 {
			return e
		}
		e = sys.Renameat(s.dirOf(k), &fresh[0], s.dirOf(k), &k.name[0])
		if e != unix.ENOENT {
			return e
		}
	}
}

// remove removes the entry of an inode. It is no error if there is none.
func (s *Sidecar) remove(k *key) unix.Errno {
	if e := sys.Unlinkat(s.dirOf(k), &k.name[0], 0); e != unix.ENOENT {
		return e
	}
	return 0
}
