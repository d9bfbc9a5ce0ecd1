package owner

import (
	"strconv"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// key identifies an inode by its name in the sidecar,
// "DEVICE-INODE-BIRTH-GENERATION" in hexadecimal.
//
// The kernel reuses inode numbers. Where the file system has file handles, which include
// a generation number, a key still means the same inode as long as the file system
// exists. A birth time in nanoseconds is nearly as good. An inode that has neither is in
// memory only (pipefs, devpts, procfs): its key is volatile, valid for this boot.
//
// Handles of FUSE are the numbers that the server gives to inodes which the kernel remembers. The
// server of the next mount gives the same numbers to others. Such a key is valid for one mount,
// whose identity it has instead of a birth time: see mountIdentity.
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

// Types of file handles, in <linux/exportfs.h>. FUSE uses them, and some others do, too.
const (
	fileidINO64Gen       = 0x81
	fileidINO64GenParent = 0x82
)

// fill makes k the key of the object at path, relative to dirfd. Flags are those of
// statx(2). The error is that of statx(2).
func (k *key) fill(dirfd int, path *byte, flags int) unix.Errno {
	return k.fillIf(dirfd, path, flags, nil)
}

// fillIf is fill for an inode that may have an entry, according to the hints in known. The
// error is ENODATA for others.
func (k *key) fillIf(dirfd int, path *byte, flags int, known *hints) unix.Errno {
	var st unix.Statx_t
	if e := sys.Statx(dirfd, path, flags, unix.STATX_INO|unix.STATX_BTIME|unix.STATX_MNT_ID|unix.STATX_MNT_ID_UNIQUE, &st); e != 0 {
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
	var birth, generation uint64
	if hasBirth {
		birth = uint64(st.Btime.Sec)*1e9 + uint64(st.Btime.Nsec)
	}
	if hasHandle {
		generation = fnv64a(handle.data[:handle.bytes])
	}
	k.volatile = !hasHandle && !hasBirth
	mayBeFUSE := k.volatile || hasHandle && (handle.typ == fileidINO64Gen || handle.typ == fileidINO64GenParent)
	if mayBeFUSE && isFUSE(dirfd, path, flags) {
		if hasBirth {
			generation = 0
		} else {
			k.volatile = true
			birth = mountIdentity(&st)
		}
	}

	// Anonymous device numbers (major 0: tmpfs, overlayfs, btrfs, NFS) change with each
	// mount.
	device := uint64(st.Dev_major)<<32 | uint64(st.Dev_minor)
	var dev uint64
	if st.Dev_major != 0 || k.volatile {
		dev = device
	}
	k.numbers = [...]uint64{device, st.Ino, birth, generation}
	b := k.name[:0]
	b = append(strconv.AppendUint(b, dev, 16), '-')
	b = append(strconv.AppendUint(b, st.Ino, 16), '-')
	b = append(strconv.AppendUint(b, birth, 16), '-')
	_ = append(strconv.AppendUint(b, generation, 16), 0)
	return 0
}

// isFUSE reports whether the object at path, relative to dirfd, is on a FUSE file system. Flags are
// those of statx(2).
func isFUSE(dirfd int, path *byte, flags int) bool {
	if flags&unix.AT_EMPTY_PATH == 0 {
		open := unix.O_PATH | unix.O_CLOEXEC
		if flags&unix.AT_SYMLINK_NOFOLLOW != 0 {
			open |= unix.O_NOFOLLOW
		}
		fd, e := sys.Openat(dirfd, path, open, 0)
		if e != 0 {
			return false
		}
		defer unix.Close(fd)
		dirfd = fd
	}
	// Only servers can fail here. Some do for a symbolic link that leads nowhere.
	t := sys.FileSystem(dirfd)
	return t == unix.FUSE_SUPER_MAGIC || t == 0
}

// fuseConnections returns openFUSEConnections. It is opened once, because a thread's root directory
// may be a container's later.
var fuseConnections = sync.OnceValue(openFUSEConnections)

// openFUSEConnections returns an O_PATH descriptor of the directory in which fusectl has a directory
// for each FUSE file system, named after its device number; 0 if there is none.
func openFUSEConnections() int {
	fd, err := unix.Open("/sys/fs/fuse/connections", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	if sys.FileSystem(fd) != fusectlMagic { // the directory of sysfs
		unix.Close(fd)
		return 0
	}
	return fd
}

// fusectlMagic is FUSE_CTL_SUPER_MAGIC of the kernel's fs/fuse/control.c.
const fusectlMagic = 0x65735543

// mountIdentity returns what tells a FUSE file system, with an inode of the status st, from those
// that had or will have its device number in this boot. It is the time at which fusectl has
// learned of it. Without fusectl it is the id of the mount, which no other one gets since Linux
// 6.8, but which the same file system has in one mount namespace only.
func mountIdentity(st *unix.Statx_t) uint64 {
	var name [24]byte
	_ = append(strconv.AppendUint(name[:0], uint64(st.Dev_major)<<20|uint64(st.Dev_minor), 10), 0)
	var c unix.Statx_t
	if fd := fuseConnections(); fd != 0 && sys.Statx(fd, &name[0], unix.AT_SYMLINK_NOFOLLOW, unix.STATX_CTIME, &c) == 0 {
		return uint64(c.Ctime.Sec)*1e9 + uint64(c.Ctime.Nsec)
	}
	return st.Mnt_id
}

// fnv64a returns the 64-bit FNV-1a hash of b. Unlike hash/fnv it does not allocate.
func fnv64a(b []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}
