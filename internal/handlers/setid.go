package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/perm"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// The kernel clears the set-id bits of a file when a task writes to it that lacks the
// CAP_FSETID of the host, which no task of the container has. Writes are not notified. So
// before a caller with the emulated CAP_FSETID opens such a file for writing, the bits move
// from the kernel's mode to the record (recordSetID), where the kernel does not find them.
// Before another caller opens the file for writing, they move back, to be cleared by the
// kernel (openSetID). Once no task has the file open for writing, stat(2) and execve(2) move
// them back, too (settleSetID).
//
// Recorded bits exist only while every task that has the file open for writing has had
// CAP_FSETID when it opened it: recordSetID does nothing for a file that is already open for
// writing.
//
// Each move changes the record and the mode in an order in which the visible mode is the same
// at any time, also if the worker dies in between.

// mayHaveSetID reports whether the inode, or its record, can have set-id bits.
func (i *inode) mayHaveSetID() bool {
	return i.kind() == unix.S_IFREG && i.stat.Mode&owner.SetIDBits != 0
}

// isMarked reports whether set-id bits may be recorded for the inode: see owner.SetIDBits.
func (i *inode) isMarked() bool {
	return i.kind() == unix.S_IFREG && i.stat.Mode&unix.S_ISVTX != 0
}

// mode returns the mode of the inode, whose record has been loaded, as the container sees it.
func (i *inode) mode() uint32 { return i.record.Mode(i.stat.Mode) }

// refresh reads status and record again, now that the inode is locked.
func (c *Call) refresh(i *inode) unix.Errno {
	e := sys.Fstat(i.fd, &i.stat)
	c.load(i)
	return e
}

// pathMayHaveSetID is mayHaveSetID for the object o, at the cost of one system call. Marked
// means that the call is to make it an isMarked one.
func (c *Call) pathMayHaveSetID(o object, marked bool) bool {
	p, e := c.pathOf(o)
	if e != 0 || p.ViaProcSelf() {
		return e == 0
	}
	var st unix.Statx_t
	return statxPath(p, unix.STATX_TYPE|unix.STATX_MODE, &st) == 0 &&
		st.Mode&unix.S_IFMT == unix.S_IFREG && (marked || st.Mode&owner.SetIDBits != 0)
}

// openSetID prepares an open of the regular file with these flags of open(2) for what the
// caller may write. Done means that r is the answer to the call.
func (c *Call) openSetID(i *inode, flags uint64) (r Result, done bool) {
	if accessMode(flags)&perm.Write == 0 || flags&unix.O_DIRECTORY != 0 || !i.mayHaveSetID() { // ENOTDIR
		return Continue, false
	}
	// The supervisor opens the file. If the kernel did it, a call could come in between that
	// finds no task that writes, and moves the bits.
	if !c.lacksCapInContainer(unix.CAP_FSETID) {
		return c.withRecordedSetID(i, func() Result { return c.reopen(i, flags) }), true
	}
	if flags&unix.O_TRUNC != 0 {
		if r := c.clearSetID(i); r.Errno != 0 {
			return r, true
		}
	}
	r = c.reopen(i, flags)
	if !r.File {
		return r, true
	}
	c.Owners.Lock(i.lockKey())
	defer c.Owners.Unlock(i.lockKey())
	e := c.refresh(i)
	if e == 0 {
		e = c.unrecordSetID(i)
	}
	if e != 0 {
		unix.Close(int(r.Val))
		return Errno(e), true
	}
	return r, true
}

// withRecordedSetID calls f, which opens or truncates the inode, while its set-id bits are
// recorded, and nobody moves them.
func (c *Call) withRecordedSetID(i *inode, f func() Result) Result {
	c.Owners.Lock(i.lockKey())
	defer c.Owners.Unlock(i.lockKey())
	c.recordSetID(i)
	return f()
}

// recordSetID moves the set-id bits of the inode, which is locked, to its record, unless a task
// has it open for writing. If that fails, a write clears the bits.
func (c *Call) recordSetID(i *inode) {
	// With another group, the kernel would not let the supervisor restore S_ISGID.
	if c.refresh(i) != 0 || i.stat.Mode&(unix.S_ISUID|unix.S_ISGID) == 0 ||
		(owner.ID{UID: i.stat.Uid, GID: i.stat.Gid}) != c.Owners.Mapped {
		return
	}
	lease, e := leaseUnlessWritten(i)
	if e != 0 {
		return
	}
	mode := i.mode()
	i.record.SetID = mode & owner.SetIDBits
	if c.Owners.SetRecord(i.fd, i.stat.Dev, i.stat.Mode, &i.record) == 0 {
		sys.FchmodOPath(i.fd, mode&^owner.SetIDBits|unix.S_ISVTX)
	}
	unix.Close(lease)
}

// unrecordSetID moves recorded set-id bits back to the kernel's mode. The inode is locked, and
// its status fresh.
func (c *Call) unrecordSetID(i *inode) unix.Errno {
	if !i.isMarked() || !c.load(i) || i.record.SetID == 0 {
		return 0
	}
	mode := i.mode()
	if e := sys.FchmodOPath(i.fd, mode); e != 0 {
		return e
	}
	i.stat.Mode = mode
	i.record.SetID = 0
	return c.Owners.SetRecord(i.fd, i.stat.Dev, i.stat.Mode, &i.record)
}

// settleSetID reads status and record of a marked inode again. If it has recorded set-id bits
// and no task has it open for writing, they move back to the kernel's mode.
func (c *Call) settleSetID(i *inode) {
	if !i.isMarked() {
		return
	}
	c.Owners.Lock(i.lockKey())
	defer c.Owners.Unlock(i.lockKey())
	if c.refresh(i) != 0 || i.record.SetID == 0 {
		return
	}
	if lease, e := leaseUnlessWritten(i); e == 0 {
		c.unrecordSetID(i)
		unix.Close(lease)
		c.refresh(i)
	}
}

// leaseUnlessWritten returns a descriptor of the inode with a lease, which holds up every task
// that opens it for writing until the descriptor is closed. The error is EAGAIN if a task has
// it open for writing, and another one if the file system cannot tell.
//
// fcntl(2), F_SETLEASE: "A read lease can be placed only on a file descriptor that is opened
// read-only." In fs/locks.c: EAGAIN if the inode is open for writing.
func leaseUnlessWritten(i *inode) (int, unix.Errno) {
	fd, e := sys.Reopen(i.fd, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC)
	if e != 0 {
		return -1, e
	}
	if e := sys.SetLease(fd, unix.F_RDLCK); e != 0 {
		unix.Close(fd)
		return -1, e
	}
	return fd, 0
}

// isWritten reports whether a task has the inode open for writing, as far as the file system
// can tell.
func isWritten(i *inode) bool {
	lease, e := leaseUnlessWritten(i)
	if e == 0 {
		unix.Close(lease)
	}
	return e == unix.EAGAIN
}

// changeMode sets the mode of the inode. If set-id bits are recorded, so are the new ones. The
// inode is locked, and its record has been loaded.
func (c *Call) changeMode(i *inode, mode uint32) unix.Errno {
	recorded := i.record.SetID != 0
	if recorded && mode&(unix.S_ISUID|unix.S_ISGID) != 0 {
		i.record.SetID = mode & owner.SetIDBits
		if e := c.Owners.SetRecord(i.fd, i.stat.Dev, i.stat.Mode, &i.record); e != 0 {
			return e
		}
		return sys.FchmodOPath(i.fd, mode&^owner.SetIDBits|unix.S_ISVTX)
	}
	// The new mode may be that of a marked inode: what the old one has made void must go. (load
	// and SetRecord drop it.)
	if !recorded && i.kind() == unix.S_IFREG && mode&unix.S_ISVTX != 0 && c.load(i) {
		if e := c.Owners.SetRecord(i.fd, i.stat.Dev, i.stat.Mode, &i.record); e != 0 {
			return e
		}
	}
	if e := sys.FchmodOPath(i.fd, mode); e != 0 || !recorded {
		return e
	}
	i.record.SetID = 0
	return c.Owners.SetRecord(i.fd, i.stat.Dev, i.stat.Mode, &i.record)
}
