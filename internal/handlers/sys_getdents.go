package handlers

import (
	"bytes"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// Where the fields of struct linux_dirent64 are, getdents(2).
const (
	direntReclen = int(unsafe.Offsetof(unix.Dirent{}.Reclen))
	direntType   = int(unsafe.Offsetof(unix.Dirent{}.Type))
	direntName   = int(unsafe.Offsetof(unix.Dirent{}.Name))
)

// maxDirents is how much of a directory is read at once: "the number of bytes read" may be less
// than what there is room for.
const maxDirents = 32 << 10

// Getdents64 handles getdents64(fd, dirp, count): the type of a device is not that of its
// placeholder. Placeholders of null are regular files, of which there are too many to look at.
func Getdents64(c *Call) Result {
	if !c.Owners.SidecarInUse() || c.inRuntime() {
		return Continue
	}
	fd, e := c.Target.Dup(c.int32(0))
	if e != 0 {
		return Continue
	}
	defer unix.Close(fd)
	if e := c.rewind(fd); e != 0 {
		return Continue // no directory
	}
	entries := c.buffer()[:min(uint64(c.uint32(2)), maxDirents)]
	n, e := sys.Getdents64(fd, entries)
	if e != 0 {
		return Errno(e)
	}
	entries = entries[:n]
	for rest := entries; len(rest) > direntName; {
		length := int(le.Uint16(rest[direntReclen:]))
		if rest[direntType] == unix.DT_SOCK {
			c.showDevice(fd, rest[:length])
		}
		rest = rest[length:]
	}
	if e := c.write(c.addr(1), entries); e != 0 {
		// The kernel gives as many entries as there is memory for, and does not move on if that is none: EFAULT.
		if _, e := sys.Lseek(fd, c.Intent.Began, unix.SEEK_SET); e != 0 {
			return Errno(e)
		}
		return Continue
	}
	return Return(n)
}

// rewind makes the directory that fd refers to be read from where it was when this call was
// answered for the first time: a signal, or the death of a worker, may have taken the answer.
func (c *Call) rewind(fd int) unix.Errno {
	from, whence := int64(0), unix.SEEK_CUR
	if c.resumes() {
		from, whence = c.Intent.Began, unix.SEEK_SET
	}
	at, e := sys.Lseek(fd, from, whence)
	if e == 0 {
		*c.Intent = Intent{ID: c.ID, Began: at}
	}
	return e
}

// showDevice gives an entry of the directory fd, which is a socket, its type if that is a
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
