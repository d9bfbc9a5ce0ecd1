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

// Sidecar is a directory of the records of inodes that cannot carry user.* extended
// attributes: symbolic links, FIFOs, sockets, devices, and everything on file
// systems without them.
//
// An entry is a symbolic link named after the inode (see key) whose target is
// "UID:GID", or "UID:GID:c:MAJOR:MINOR" (b for a block device) of the placeholder
// of a device. The kernel makes and replaces it atomically, one readlink(2) reads
// it, and any file system can hold it: no database, no lock, no daemon.
type Sidecar struct {
	dir      int     // entries of inodes that outlive a reboot
	volatile int     // entries of inodes that do not (pipes, terminals), for this boot
	used     *uint32 // in memory shared with every user of the directory: has it any entry?
}

// usedFile tells by its first byte whether the sidecar has any entry. While it
// has none, which is the rule, look-ups cost nothing.
const usedFile = "used"

// bootPrefix is the name of the directory for volatile entries, before the boot id.
const bootPrefix = "boot-"

// DefaultSidecar returns the sidecar's directory of the calling user:
// subuidless/sidecar in $XDG_STATE_HOME or ~/.local/state.
func DefaultSidecar() (string, error) {
	state := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) { // as the XDG Base Directory Specification asks
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("no directory for the owners of symbolic links and devices: %w (set HOME or XDG_STATE_HOME, or give --sidecar)", err)
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "subuidless", "sidecar"), nil
}

// OpenSidecar opens the sidecar in dir, and makes it if needed.
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
	case err == nil: // the first start after a reboot: the others need not look
		if err := removeOtherBoots(dir, filepath.Base(volatile)); err != nil {
			return nil, err
		}
	case !errors.Is(err, os.ErrExist):
		return nil, err
	}
	s := new(Sidecar)
	if s.used, err = mapUsed(filepath.Join(dir, usedFile)); err != nil {
		return nil, err
	}
	if s.dir, err = unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return nil, &os.PathError{Op: "open", Path: dir, Err: err}
	}
	if s.volatile, err = unix.Open(volatile, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return nil, &os.PathError{Op: "open", Path: volatile, Err: err}
	}
	return s, nil
}

// removeOtherBoots removes the volatile entries of earlier boots: all but the
// directory current.
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

func mapUsed(name string) (*uint32, error) {
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
	return (*uint32)(unsafe.Pointer(&m[0])), nil
}

// inUse tells whether there is any entry.
func (s *Sidecar) inUse() bool { return s != nil && atomic.LoadUint32(s.used) != 0 }

// key names an inode. It is an exact name for the life of the file system
// where the file system has file handles (which hold a generation number), and
// nearly so where it only has a birth time. An inode with neither lives in
// memory only (pipefs, devpts, procfs): it is volatile.
type key struct {
	name     [80]byte // NUL-terminated
	volatile bool
}

// fileHandle is struct file_handle with room for MAX_HANDLE_SZ bytes.
type fileHandle struct {
	bytes uint32
	typ   int32
	data  [128]byte
}

// make fills k for the object at (dirfd, path); flags are those of statx(2).
func (k *key) make(dirfd int, path *byte, flags int) unix.Errno {
	var st unix.Statx_t
	if e := sys.Statx(dirfd, path, flags, unix.STATX_INO|unix.STATX_BTIME, &st); e != 0 {
		return e
	}
	handle := fileHandle{bytes: uint32(len(fileHandle{}.data))}
	var mountID int32
	// Its sense of the flag is the reverse of statx's.
	hflags := flags & unix.AT_EMPTY_PATH
	if flags&unix.AT_SYMLINK_NOFOLLOW == 0 {
		hflags |= unix.AT_SYMLINK_FOLLOW
	}
	e := sys.NameToHandleAt(dirfd, path, unsafe.Pointer(&handle), &mountID, hflags)
	hasHandle, hasBirth := e == 0, st.Mask&unix.STATX_BTIME != 0
	k.volatile = !hasHandle && !hasBirth

	// Anonymous device numbers (major 0: tmpfs, overlayfs, btrfs, NFS) are given
	// out anew by each mount.
	var dev uint64
	if st.Dev_major != 0 || k.volatile {
		dev = uint64(st.Dev_major)<<32 | uint64(st.Dev_minor)
	}
	var birth, generation uint64
	if hasBirth {
		birth = uint64(st.Btime.Sec)*1e9 + uint64(st.Btime.Nsec)
	}
	if hasHandle {
		generation = fnv64a(handle.data[:handle.bytes])
	}
	b := k.name[:0]
	b = append(strconv.AppendUint(b, dev, 16), '-')
	b = append(strconv.AppendUint(b, st.Ino, 16), '-')
	b = append(strconv.AppendUint(b, birth, 16), '-')
	_ = append(strconv.AppendUint(b, generation, 16), 0)
	return 0
}

// fnv64a is the 64-bit FNV-1a hash, without the allocation of hash/fnv.
func fnv64a(b []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}

func (s *Sidecar) dirOf(k *key) int {
	if k.volatile {
		return s.volatile
	}
	return s.dir
}

// get fills r with the entry of an inode, if it has one.
func (s *Sidecar) get(k *key, r *Record) bool {
	var target [maxEntry]byte
	n, e := sys.Readlinkat(s.dirOf(k), &k.name[0], target[:])
	return e == 0 && n < maxEntry && r.parseEntry(target[:n])
}

// set makes r the entry of an inode. The error is EOPNOTSUPP if it has ACLs.
func (s *Sidecar) set(k *key, r *Record) unix.Errno {
	if len(r.Access) > 0 || len(r.Default) > 0 {
		return unix.EOPNOTSUPP
	}
	var target [maxEntry]byte
	_ = append(r.appendEntry(target[:0]), 0)
	atomic.StoreUint32(s.used, 1) // before the entry can be looked up
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
			// Left by a supervisor that was killed just here, or of one that is
			// just here: then the last one wins, and the other tries again.
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

// remove removes the entry of an inode.
func (s *Sidecar) remove(k *key) unix.Errno {
	if e := sys.Unlinkat(s.dirOf(k), &k.name[0], 0); e != unix.ENOENT {
		return e
	}
	return 0
}
