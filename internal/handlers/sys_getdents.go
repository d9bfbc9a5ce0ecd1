package handlers

import (
	"bytes"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
	"github.com/rootless-containers/subuidless/internal/target"
)

// Offsets of fields of struct linux_dirent64, getdents(2).
const (
	direntIno    = int(unsafe.Offsetof(unix.Dirent{}.Ino))
	direntReclen = int(unsafe.Offsetof(unix.Dirent{}.Reclen))
	direntType   = int(unsafe.Offsetof(unix.Dirent{}.Type))
	direntName   = int(unsafe.Offsetof(unix.Dirent{}.Name))
)

// maxDirents limits how many bytes of entries are read at once. getdents(2) may return
// fewer bytes than fit in the buffer.
const maxDirents = 32 << 10

// Getdents64 handles getdents64(fd, dirp, count): it shows the type of a device in place of
// that of its placeholder. Placeholders of null are regular files, which are too many to
// check: only those that are called null are.
func Getdents64(c *Call) Result {
	if !c.Owners.DevicesInUse() || c.inRuntime() {
		return Continue
	}
	fd, e := c.Target.Dup(c.int32(0))
	if e != 0 {
		return Continue
	}
	defer unix.Close(fd)
	bounded := isBounded(fd)
	if bounded && (c.addr(1) == 0 || c.badPointer(1)) {
		return Continue // EFAULT, after which lseek would have to restore the position
	}
	if e := c.rewind(fd, bounded); e != 0 {
		return Continue // ENOTDIR
	}
	entries := c.buffer()[:min(uint64(c.uint32(2)), maxDirents)]
	n, e := sys.Getdents64(fd, entries)
	if e != 0 {
		return Errno(e)
	}
	entries = entries[:n]
	for rest := entries; len(rest) > direntName; {
		var entry []byte
		entry, rest = cutDirent(rest)
		if entry[direntType] == unix.DT_SOCK || entry[direntType] == unix.DT_REG && bytes.HasPrefix(entry[direntName:], nullName) {
			c.showDevice(fd, entry)
		}
	}
	if e := c.write(c.addr(1), entries); e != 0 {
		// The kernel returns as many entries as fit in the memory that is mapped, and keeps
		// the position if there are none: EFAULT.
		if _, e := sys.Lseek(fd, c.Intent.Began, unix.SEEK_SET); e != 0 {
			return Errno(e)
		}
		return Continue
	}
	return Return(n)
}

// cutDirent cuts the first entry from a list of struct linux_dirent64.
func cutDirent(entries []byte) (entry, rest []byte) {
	length := le.Uint16(entries[direntReclen:])
	return entries[:length], entries[length:]
}

// nullName is the name of null in a directory entry.
var nullName = []byte("null\x00")

// isBounded reports whether the directory fd has no entries that are newer than the descriptor,
// until lseek(2) makes them visible: btrfs_dir_llseek of fs/btrfs/inode.c. overlayfs calls that,
// too, for its directories on btrfs.
func isBounded(fd int) bool {
	kind := sys.FileSystem(fd)
	return kind == unix.BTRFS_SUPER_MAGIC || kind == unix.OVERLAYFS_SUPER_MAGIC
}

// rewind sets the position of the directory fd to that of the first attempt at this call. A
// signal, or the death of a worker, may have discarded the entries that were read.
func (c *Call) rewind(fd int, bounded bool) unix.Errno {
	var at int64
	var e unix.Errno
	switch {
	case c.resumes():
		at, e = sys.Lseek(fd, c.Intent.Began, unix.SEEK_SET)
	case bounded:
		at, e = target.Position(fd)
	default:
		at, e = sys.Lseek(fd, 0, unix.SEEK_CUR)
	}
	if e == 0 {
		c.note(Intent{Began: at})
	}
	return e
}

// showDevice sets the type of an entry in the directory fd if it is the placeholder of a
// device.
func (c *Call) showDevice(fd int, entry []byte) {
	name := entry[direntName:]
	if bytes.IndexByte(name, 0) < 0 {
		return
	}
	file := c.openEntry(fd, &name[0])
	defer c.closeEntry(&file)
	if !file.exists() || !c.load(file.inode) {
		return
	}
	switch file.record.Type {
	case unix.S_IFCHR:
		entry[direntType] = unix.DT_CHR
	case unix.S_IFBLK:
		entry[direntType] = unix.DT_BLK
	}
}
