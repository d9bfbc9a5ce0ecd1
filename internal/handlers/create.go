package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/perm"
	"github.com/rootless-containers/subuidless/internal/sys"
	"github.com/rootless-containers/subuidless/internal/target"
)

// maker creates an inode by a name in the directory parent. It returns a descriptor of the
// inode, or -1 if it has none.
type maker func(parent int, name *byte, mode uint32) (fd int, e unix.Errno)

// create handles a call that creates an inode, owned by the caller, at the path in argument
// pathArg, relative to the caller's descriptor dirfd. Mode includes the file type. Make
// creates the inode with the mode that it is given. Rec is what to record besides the
// owner.
func (c *Call) create(
	dirfd int32, pathArg int, mode uint32,
	make func(parent int, name *byte, mode uint32) unix.Errno, rec owner.Record,
) Result {
	if c.finished() {
		return Errno(0)
	}
	// The kernel cannot create devices in a user namespace.
	if c.inRuntime() || rec.Type == 0 && c.kernelSuffices(dirfd, pathArg) {
		return Continue
	}
	parent, name, slash, e := c.openParent(dirfd, pathArg)
	if e != 0 {
		return Errno(e)
	}
	parent = c.begunIn(parent)
	defer c.close(parent)
	if e := c.mayMake(parent, name, slash, mode); e != 0 {
		return Errno(e)
	}
	if rec.Type == 0 && c.createsAsRoot() && !c.inherits(parent) {
		return Continue
	}
	_, e = c.makeIn(parent, name, mode, rec, func(parent int, name *byte, mode uint32) (int, unix.Errno) {
		return -1, make(parent, name, mode)
	})
	return Errno(e)
}

// mayMake checks whether the caller may create an inode of that mode by name in the
// directory parent, as far as the kernel does not check it itself.
func (c *Call) mayMake(parent *inode, name *byte, slash bool, mode uint32) unix.Errno {
	// Only a directory can be created by a name that ends with a slash.
	slash = slash && mode&unix.S_IFMT != unix.S_IFDIR
	if !slash && !c.Restricted() {
		return 0
	}
	switch e := statName(parent.fd, name); {
	case e == 0:
		if c.resumes() {
			return 0
		}
		return unix.EEXIST
	case e != unix.ENOENT || slash:
		return e
	}
	return parent.preferEROFS(c.mayModify(parent))
}

// kernelSuffices reports whether the kernel alone does the right thing if the caller
// creates an inode at that path. It costs one system call besides reading the path.
func (c *Call) kernelSuffices(dirfd int32, pathArg int) bool {
	switch {
	case c.inRuntime():
		return true
	case !c.createsAsRoot(), c.Restricted(), c.resumes():
		return false
	}
	dir, _, _, e := c.Target.Parent(dirfd, c.addr(pathArg))
	return e != 0 || c.kernelSufficesIn(dir)
}

// createsAsRoot reports whether the caller's file system ids are the mapped ids, so that
// what the kernel creates has the right owner without a record.
func (c *Call) createsAsRoot() bool {
	if !c.Identities.InUse() {
		return true
	}
	s := c.identity()
	return s.UID.FS == c.Owners.Mapped.UID && s.GID.FS == c.Owners.Mapped.GID
}

// kernelSufficesIn reports whether the kernel alone does the right thing if the caller
// creates an inode in dir. It usually costs one system call.
func (c *Call) kernelSufficesIn(dir target.Path) bool {
	if !c.createsAsRoot() || dir.ViaProcSelf() || c.Restricted() || c.resumes() {
		return false
	}
	switch c.Owners.PeekDirectory(dir.Ptr) {
	case owner.None, owner.Unsupported:
		return true
	case owner.Missing:
		return !c.Target.IsLink(dir)
	}
	return false
}

// inherits reports whether a new inode inherits something from the directory parent that
// the kernel does not know: a recorded default ACL, or the recorded group of a set-group-ID
// directory.
func (c *Call) inherits(parent *inode) bool {
	if !c.load(parent) {
		return false
	}
	return parent.record.Default != nil ||
		parent.stat.Mode&unix.S_ISGID != 0 && c.visible(parent).GID != c.Owners.Mapped.GID
}

// makeIn creates an inode in the directory parent, and records its owner. The descriptor is
// the one that make returns, or -1 if the inode exists from an earlier attempt at this
// call.
//
// The lock on the directory admits one creation at a time. An inode that appears between
// the look-up of the name and the end of makeIn therefore belongs to the caller, and is
// recognized if the worker dies in between.
func (c *Call) makeIn(parent *inode, name *byte, mode uint32, rec owner.Record, make maker) (int, unix.Errno) {
	c.Owners.Lock(parent.lockKey())
	defer c.Owners.Unlock(parent.lockKey())

	if !c.Listener.Waits() {
		return -1, unix.ESRCH // the path may belong to another call by now
	}
	if e := c.Target.AdoptUmask(); e != 0 {
		return -1, e
	}
	// The kernel subtracts the umask, or applies a default ACL instead.
	made := perm.NewInode(c.identity().Credentials, c.visible(parent), mode, 0)
	rec.ID = owner.ID{UID: made.UID, GID: made.GID}
	rec.Access, rec.Default = inheritACL(&parent.record, mode)

	fd, dir := -1, parent.fd
	if !c.hasMade(dir, name) {
		*c.Intent = Intent{}
		if statName(dir, name) == unix.ENOENT {
			c.note(Intent{Began: sys.CoarseNow(), Inode: parent.lockKey()})
		}
		var e unix.Errno
		if fd, e = make(dir, name, made.Mode); e != 0 {
			if e == unix.EINVAL && c.Intent.ID == c.ID && statName(dir, name) == 0 {
				// open(2) with O_DIRECT on a file system that does not support it: the file
				// remains.
				c.recordNew(dir, name, -1, &rec)
			} else {
				*c.Intent = Intent{} // a later attempt starts anew
			}
			return -1, e
		}
	}
	e := c.recordNew(dir, name, fd, &rec)
	if e != 0 { // no space, or no sidecar
		// O_TMPFILE uses the name ".", which cannot be removed.
		flags := 0
		if mode&unix.S_IFMT == unix.S_IFDIR {
			flags = unix.AT_REMOVEDIR
		}
		sys.Unlinkat(dir, name, flags)
		*c.Intent = Intent{}
		if fd >= 0 {
			unix.Close(fd)
		}
		return -1, e
	}
	return fd, 0
}

// recordNew records the owner of the inode that was just created. Fd is a descriptor of it,
// or -1. The call has then had its effect, except that open(2) returns a descriptor.
func (c *Call) recordNew(parent int, name *byte, fd int, rec *owner.Record) unix.Errno {
	if fd < 0 {
		var e unix.Errno
		if fd, e = sys.Openat(parent, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0); e != 0 {
			return 0 // already removed
		}
		defer unix.Close(fd)
		if !isNew(parent, fd) {
			return 0
		}
	}
	var st unix.Stat_t
	if e := sys.Fstat(fd, &st); e != 0 {
		return e
	}
	inode := owner.Inode{Dev: st.Dev, Ino: st.Ino}
	c.Owners.Lock(inode)
	defer c.Owners.Unlock(inode)
	e := c.Owners.SetNew(fd, st.Dev, st.Mode, rec)
	if e == 0 && c.Intent.ID == c.ID {
		c.Intent.Done = inode
	}
	return e
}

// isNew reports whether the inode of fd can be the one that was just created in the
// directory parent. Another task may have moved a different inode there, whose owner must
// not change. Both timestamps are by the clock of the file system.
func isNew(parent, fd int) bool {
	var dir unix.Statx_t
	if e := sys.Statx(parent, sys.Empty, unix.AT_EMPTY_PATH, unix.STATX_CTIME, &dir); e != 0 {
		return false
	}
	birth, e := birth(fd, sys.Empty, unix.AT_EMPTY_PATH)
	return e == 0 && birth >= nanoseconds(dir.Ctime)-granularity
}

// granularity is the coarsest granularity of timestamps, that of vfat, in nanoseconds.
const granularity = 2e9

// hasMade reports whether an earlier attempt at this call has created the inode name in the
// directory parent. The name did not exist then. What has been created since belongs to the
// caller, unless the kernel was executing another call that created it at that moment.
func (c *Call) hasMade(parent int, name *byte) bool {
	if !c.resumes() {
		return false
	}
	birth, e := birth(parent, name, unix.AT_SYMLINK_NOFOLLOW)
	return e == 0 && birth >= c.Intent.Began-granularity && birth <= c.Before
}

// birth returns when an inode was created, in nanoseconds, or if the file system does not
// record that, when its status was last changed. Flags are those of statx(2).
func birth(dirfd int, path *byte, flags int) (int64, unix.Errno) {
	var st unix.Statx_t
	e := sys.Statx(dirfd, path, flags, unix.STATX_BTIME|unix.STATX_CTIME, &st)
	if st.Mask&unix.STATX_BTIME == 0 {
		return nanoseconds(st.Ctime), e
	}
	return nanoseconds(st.Btime), e
}

func nanoseconds(t unix.StatxTimestamp) int64 { return t.Sec*1e9 + int64(t.Nsec) }

// statName returns 0 if the directory parent has the name, ENOENT if it does not, or
// another error.
func statName(parent int, name *byte) unix.Errno {
	var st unix.Statx_t
	return sys.Statx(parent, name, unix.AT_SYMLINK_NOFOLLOW, 0, &st)
}
