package handlers

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/sys"
	"github.com/rootless-containers/subuidless/internal/target"
)

// StatPath handles stat(path, statbuf).
func StatPath(l Layout) Handler {
	return func(c *Call) Result { return c.statAt(unix.AT_FDCWD, 0, 0, l, 1) }
}

// LstatPath handles lstat(path, statbuf).
func LstatPath(l Layout) Handler {
	return func(c *Call) Result { return c.statAt(unix.AT_FDCWD, 0, unix.AT_SYMLINK_NOFOLLOW, l, 1) }
}

// StatFD handles fstat(fd, statbuf).
func StatFD(l Layout) Handler {
	return func(c *Call) Result {
		return c.statPath(c.Target.FD(c.int32(0)), l, 1)
	}
}

// StatAt handles fstatat(dirfd, path, statbuf, flags).
func StatAt(l Layout) Handler {
	return func(c *Call) Result { return c.statAt(c.int32(0), 1, c.uint32(3), l, 2) }
}

// Statx handles statx(dirfd, path, flags, mask, statxbuf).
func Statx(c *Call) Result {
	flags := c.uint32(2)
	const sync = unix.AT_STATX_FORCE_SYNC | unix.AT_STATX_DONT_SYNC
	if flags&^(statFlags|sync) != 0 || flags&sync == sync || c.uint32(3)&unix.STATX__RESERVED != 0 {
		return c.refuseUnknown(unix.EINVAL)
	}
	p, e := c.Target.Path(c.int32(0), c.addr(1), flags)
	if e != 0 {
		return Continue
	}
	i, e := c.openRecorded(p)
	if e != 0 {
		return continueUnlessDenied(e)
	}
	defer c.close(i)
	var st unix.Statx_t
	if sys.Statx(i.fd, sys.Empty, int(flags&^unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH), int(c.uint32(3)), &st) != 0 {
		return Continue // an unknown flag or mask: the kernel finds the error
	}
	id := c.shown(i.record.ID, owner.ID{UID: st.Uid, GID: st.Gid})
	st.Uid, st.Gid = id.UID, id.GID
	if i.stat.Mode&unix.S_ISVTX != 0 {
		st.Mode = uint16(i.mode())
	}
	if i.record.Type != 0 {
		st.Mode = uint16(i.record.Type) | st.Mode&^unix.S_IFMT
		st.Rdev_major, st.Rdev_minor = unix.Major(i.record.Rdev), unix.Minor(i.record.Rdev)
		st.Size, st.Blocks = 0, 0
	}
	return Errno(c.write(c.addr(4), unsafe.Slice((*byte)(unsafe.Pointer(&st)), unsafe.Sizeof(st))))
}

// statFlags are the flags of fstatat(2).
const statFlags = unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT | unix.AT_EMPTY_PATH

// statAt shows the record of the object. It continues where nothing is recorded, which is
// true for most files, and whenever the call will fail.
func (c *Call) statAt(dirfd int32, arg int, flags uint32, l Layout, buf int) Result {
	if flags&^statFlags != 0 {
		return Continue
	}
	p, e := c.Target.Path(dirfd, c.addr(arg), flags)
	if e != 0 {
		return Continue
	}
	return c.statPath(p, l, buf)
}

// statPath writes the status of the object that p names to the address in argument buf, if
// it has a record.
func (c *Call) statPath(p target.Path, l Layout, buf int) Result {
	i, e := c.openRecorded(p)
	if e != 0 {
		return continueUnlessDenied(e)
	}
	defer c.close(i)
	st := &i.stat
	id := c.shown(i.record.ID, owner.ID{UID: st.Uid, GID: st.Gid})
	st.Uid, st.Gid = id.UID, id.GID
	st.Mode = i.mode()
	if i.record.Type != 0 {
		st.Rdev = i.record.Rdev
		st.Size, st.Blocks = 0, 0
	}
	return c.writeStat(st, l, c.addr(buf))
}

// openRecorded opens the object that p names if it has a record, and fills the record. The
// error is EACCES if the caller may not reach it, and another one if there is no record:
// then the kernel's status is right. For a caller in a nested user namespace it never is.
func (c *Call) openRecorded(p target.Path) (*inode, unix.Errno) {
	if c.namespace() != nil {
		return c.openShown(p)
	}
	_, isFD := p.Descriptor()
	if !p.ViaProcSelf() && (isFD || !c.Restricted() || c.Target.IsOpenToAll(p)) {
		switch presence := c.Owners.Peek(p.Ptr, p.Follow, c.Identities.InUse()); presence {
		case owner.None, owner.Unsupported:
			if !c.mayBelongToTask(&p, presence) {
				return c.openAnonymous(p)
			}
		case owner.Missing:
			if !c.Target.IsLink(p) {
				return nil, unix.ENOENT
			}
		}
	}
	i, e := c.openPath(p)
	if e != 0 {
		return nil, e
	}
	if c.load(i) {
		c.settleSetID(i)
		return i, 0
	}
	if id, ok := c.procOwner(i); ok {
		i.record.ID, i.record.Type = id, 0
		return i, 0
	}
	c.close(i)
	return c.openAnonymous(p)
}

// openShown opens the object that p names, whose owner the caller sees in its own user namespace.
// The record has the owner, if it is not the kernel's.
func (c *Call) openShown(p target.Path) (*inode, unix.Errno) {
	i, e := c.openPath(p)
	if e != 0 {
		return nil, e
	}
	if c.load(i) {
		c.settleSetID(i)
	} else if id, ok := c.procOwner(i); ok {
		i.record.ID = id
	} else if _, named := p.Descriptor(); named && i.isAnonymous() {
		i.record.ID = c.fsIDs()
	}
	return i, 0
}

// writeStat writes st to the caller's memory at addr.
func (c *Call) writeStat(st *unix.Stat_t, l Layout, addr uintptr) Result {
	clear(c.out[:])
	n, e := l(st, &c.out)
	if e != 0 {
		return Errno(e)
	}
	return Errno(c.write(addr, c.out[:n]))
}
