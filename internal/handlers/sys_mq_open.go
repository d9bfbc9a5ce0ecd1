package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/perm"
	"github.com/rootless-containers/subuidless/internal/sys"
	"github.com/rootless-containers/subuidless/internal/target"
)

// POSIX message queues are inodes of a file system, mqueue, which each IPC namespace has one
// of. Their records are in the sidecar, as for other inodes without extended attributes.

// mqName is room for the name of a message queue and its NUL.
type mqName [256]byte

// readMqName reads the name in argument 0.
func (c *Call) readMqName(name *mqName) unix.Errno {
	_, e := c.Target.ReadString(c.addr(0), name[:])
	return e
}

// MqOpen handles mq_open(name, oflag, mode, attr).
func MqOpen(c *Call) Result { return c.mqOpen(false) }

// MqOpen32 handles mq_open of i386, whose struct mq_attr has numbers of 32 bits.
func MqOpen32(c *Call) Result { return c.mqOpen(true) }

func (c *Call) mqOpen(i386 bool) Result {
	if !c.Identities.InUse() || c.inRuntime() {
		return Continue
	}
	flags := c.uint32(1)
	creates := flags&unix.O_CREAT != 0 && !c.createsAsRoot()
	if !creates && !c.Restricted() {
		return Continue
	}
	o := target.MessageQueue{Flags: flags, Mode: c.uint32(2)}
	if c.addr(3) != 0 { // the kernel reads it first, even if it creates nothing
		if e := c.readMqAttr(&o.Attr, i386); e != 0 {
			return Errno(e)
		}
		o.HasAttr = true
	}
	var name mqName
	if e := c.readMqName(&name); e != 0 {
		return Errno(e)
	}
	o.Name = name[:]
	if _, e := c.Target.EnterIPC(); e != 0 {
		return Continue
	}
	fd, e := c.openMq(&o, creates)
	switch {
	case e == unix.ENOENT && flags&unix.O_CREAT != 0:
		return Continue // the kernel creates it
	case e != 0:
		return Errno(e)
	}
	// The kernel sets the flag with and without O_CLOEXEC.
	return File(fd, true)
}

// readMqAttr reads the struct mq_attr of argument 3.
func (c *Call) readMqAttr(attr *[8]int64, i386 bool) unix.Errno {
	long := 8
	if i386 {
		long = 4
	}
	var raw [8 * 8]byte
	words := raw[:len(attr)*long]
	if n, e := c.Target.Read(c.addr(3), words); e != 0 || n < len(words) {
		return unix.EFAULT
	}
	for i := range attr {
		attr[i] = readLong(words[i*long:], long)
	}
	return 0
}

// openMq opens a message queue, after a check, or creates it if creates is true. Its owner is
// then recorded. The error is ENOENT if it does not exist and creates is false.
func (c *Call) openMq(o *target.MessageQueue, creates bool) (int, unix.Errno) {
	const exclusive = unix.O_CREAT | unix.O_EXCL
	c.IPC.BeginCreate() // a new queue has no record yet
	defer c.IPC.EndCreate()
	for range openAttempts {
		existing := *o
		existing.Flags &^= exclusive
		fd, e := c.Target.OpenMessageQueue(&existing)
		switch {
		case e == 0 && c.hasMadeMq(fd):
			return fd, c.recordMq(fd)
		case e == 0 && o.Flags&exclusive == exclusive:
			unix.Close(fd)
			return -1, unix.EEXIST
		case e == 0:
			return c.permittedMq(fd, o.Flags)
		case e != unix.ENOENT && o.Flags&exclusive != exclusive, e == unix.ENOENT && !creates:
			return -1, e
		}
		*c.Intent = Intent{}
		if e == unix.ENOENT {
			c.note(Intent{Began: sys.CoarseNow()})
		}
		if !c.Listener.Waits() {
			return -1, unix.ESRCH
		}
		fresh := *o
		fresh.Flags |= exclusive
		fd, e = c.Target.OpenMessageQueue(&fresh)
		if e == 0 {
			return fd, c.recordMq(fd)
		}
		*c.Intent = Intent{}
		if e != unix.EEXIST || o.Flags&exclusive == exclusive {
			return -1, e
		}
	}
	return -1, unix.EAGAIN
}

// permittedMq returns fd, an open message queue, if the caller may open it with these flags.
func (c *Call) permittedMq(fd int, flags uint32) (int, unix.Errno) {
	i, e := c.borrowFD(fd)
	if e == 0 {
		if c.Restricted() {
			e = c.permits(i, accessMode(uint64(flags&unix.O_ACCMODE)))
		}
		c.release(i)
	}
	if e != 0 {
		unix.Close(fd)
		return -1, e
	}
	return fd, 0
}

// hasMadeMq reports whether an earlier attempt at this call has created the message queue fd:
// see hasMade.
func (c *Call) hasMadeMq(fd int) bool {
	if !c.resumes() {
		return false
	}
	if id, recorded := c.Owners.Get(fd, unix.S_IFREG); recorded && id.UID != c.identity().UID.FS {
		return false
	}
	born, e := birth(fd, sys.Empty, unix.AT_EMPTY_PATH)
	return e == 0 && born >= c.Intent.Began-granularity && born <= c.Before
}

// recordMq records that the caller owns the new message queue fd. It closes fd if it fails.
func (c *Call) recordMq(fd int) unix.Errno {
	s := c.identity()
	e := c.Owners.SetRecord(fd, 0, unix.S_IFREG, &owner.Record{ID: owner.ID{UID: s.UID.FS, GID: s.GID.FS}})
	if e != 0 {
		unix.Close(fd)
	}
	return e
}

// mqDirectory is the mode of the root directory of an mqueue file system.
const mqDirectory = unix.S_IFDIR | unix.S_ISVTX | 0o777

// MqUnlink handles mq_unlink(name).
func MqUnlink(c *Call) Result {
	if !c.Restricted() && !c.Owners.Forgets() {
		return Continue
	}
	var name mqName
	if e := c.readMqName(&name); e != 0 {
		return Errno(e)
	}
	if _, e := c.Target.EnterIPC(); e != 0 {
		return Continue
	}
	o := target.MessageQueue{Name: name[:], Flags: unix.O_RDONLY}
	fd, e := c.Target.OpenMessageQueue(&o)
	if e == unix.EACCES { // in the host's namespace, the mode applies to the supervisor, too
		o.Flags = unix.O_WRONLY
		fd, e = c.Target.OpenMessageQueue(&o)
	}
	if e != 0 {
		return Continue
	}
	defer unix.Close(fd)
	i, e := c.borrowFD(fd)
	if e != 0 {
		return Continue
	}
	defer c.release(i)
	dir := perm.Inode{UID: c.Owners.Mapped.UID, GID: c.Owners.Mapped.GID, Mode: mqDirectory}
	if c.Restricted() {
		if e := perm.MayDelete(*c.subject(), dir, c.visible(i)); e != 0 {
			return Errno(e)
		}
	}
	c.forget(i)
	return Continue
}
