package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/perm"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// Truncate handles truncate(path, length).
func Truncate(c *Call) Result { return c.truncate(int64(c.Data.Args[1])) }

// Truncate32 handles truncate(path, length) of i386.
func Truncate32(c *Call) Result { return c.truncate(int64(c.int32(1))) }

// Truncate64 handles truncate64(path, low, high) of i386.
func Truncate64(c *Call) Result { return c.truncate(int64(c.int32(2))<<32 | int64(c.uint32(1))) }

func (c *Call) truncate(length int64) Result {
	if length < 0 {
		return Continue // truncate(2): "EINVAL The argument length is negative"
	}
	if c.kernelDecides(1<<unix.CAP_FSETID) && !c.pathMayHaveSetID(byPath, false) {
		if c.isPlaceholder(byPath) {
			return Errno(unix.EINVAL)
		}
		return Continue
	}
	i, e := c.openObject(byPath)
	if e != 0 {
		return continueUnlessDenied(e)
	}
	defer c.close(i)
	// "EISDIR The named file is a directory", "EINVAL [...] the named file is not a regular file".
	if i.kind() != unix.S_IFREG {
		return Continue
	}
	if c.Owners.DevicesInUse() && c.load(i) && i.record.Type != 0 {
		return Errno(unix.EINVAL)
	}
	if e := c.permits(i, perm.Write); e != 0 {
		return Errno(c.preferReadOnlyFS(i, perm.Write, e))
	}
	if !i.mayHaveSetID() || length > i.stat.Size && !c.Target.MayEnlarge(length) { // EFBIG, and SIGXFSZ
		return Continue
	}
	if length == 0 && i.isEmptyOnXFS() {
		return Continue
	}
	if !c.Listener.Waits() {
		return Errno(unix.ESRCH)
	}
	if c.lacksCapInContainer(unix.CAP_FSETID) {
		return c.clearSetID(i)
	}
	return c.withRecordedSetID(i, func() Result {
		e := sys.TruncateOPath(i.fd, length)
		if e == unix.EFBIG { // by the supervisor's own limit
			return Continue
		}
		return Errno(e)
	})
}

// isEmptyOnXFS reports whether the inode is an empty file of XFS. "Short circuit the truncate case
// for zero length files" of fs/xfs/xfs_iops.c: truncate(2) to 0, which sets no times, leaves the
// set-id bits of such a file.
func (i *inode) isEmptyOnXFS() bool {
	return i.stat.Size == 0 && i.stat.Blocks == 0 && sys.FileSystem(i.fd) == unix.XFS_SUPER_MAGIC
}

// clearSetID clears the set-id bits that a regular file, which may have some, loses when the
// caller truncates it. The kernel, which sees root, would keep them.
func (c *Call) clearSetID(i *inode) Result {
	c.Owners.Lock(i.lockKey())
	defer c.Owners.Unlock(i.lockKey())
	if e := c.refresh(i); e != 0 {
		return Errno(e)
	}
	v := c.visible(i)
	if mode := perm.Written(c.identity().Credentials, v); mode != v.Mode {
		// The kernel may still refuse: "ETXTBSY The file is an executable file that is
		// being executed".
		writable, e := sys.Reopen(i.fd, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC)
		if e != 0 {
			return Continue
		}
		unix.Close(writable)
		if e := c.changeMode(i, mode); e != 0 {
			return Errno(e)
		}
	}
	return Continue
}
