package owner

import (
	"bytes"
	"strconv"
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
//   - Hints say what the sidecar does not have: see hints.go. A reader that sees that there is
//     nothing skips the look-up. A writer changes the hint before it creates an entry, and once
//     more afterwards.
//   - The fields of Sidecar are constant after OpenSidecar.
type Sidecar struct {
	dir      int   // O_PATH descriptor: entries of inodes that outlive a reboot
	volatile int   // O_PATH descriptor: entries of other inodes (pipes, terminals), for this boot; -1 if dir is read-only
	hints    hints // about both
}

// inUse reports whether there may be an entry. It is false for a nil Sidecar.
func (s *Sidecar) inUse() bool { return s != nil && s.hints.mayHave(hintEntries) }

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

// fillIf is fill for an inode that may have an entry, according to the hints in known. The
// error is ENODATA for others.
func (k *key) fillIf(dirfd int, path *byte, flags int, known *hints) unix.Errno {
	var st unix.Statx_t
	if e := sys.Statx(dirfd, path, flags, unix.STATX_INO|unix.STATX_BTIME, &st); e != 0 {
		return e
	}
	if known != nil && !known.mayHaveInode(st.Ino) {
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

// noteEntry makes it known that the inode of k may have an entry.
func (s *Sidecar) noteEntry(k *key) {
	s.hints.noteInode(k.numbers[1])
	s.hints.note(hintEntries)
}

// set makes r the entry of an inode. The error is EOPNOTSUPP if r has ACLs, or that of
// symlinkat(2) or renameat(2).
func (s *Sidecar) set(k *key, r *Record) unix.Errno {
	if r.hasACL() {
		return unix.EOPNOTSUPP
	}
	if s.dirOf(k) < 0 {
		return unix.EROFS
	}
	var target [maxEntry]byte
	_ = append(r.appendEntry(target[:0]), 0)
	s.noteEntry(k)       // before the entry can be seen
	defer s.noteEntry(k) // see Settle
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
