package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/perm"
	"github.com/rootless-containers/subuidless/internal/sys"
	"github.com/rootless-containers/subuidless/internal/target"
)

// Intent is what a call makes: the one thing that has to be known of a call that comes
// back, as the worker has died over it, or a signal has interrupted it. For "the name
// exists" may be what the first try has done.
type Intent struct {
	ID    uint64 // of the notification whose name did not exist at Began; 0: none
	Began int64  // the time that files had then, in nanoseconds
}

// A maker makes an inode of that name in the directory parent. It returns a
// descriptor of it, or -1 if it has none.
type maker func(parent int, name *byte, mode uint32) (fd int, e unix.Errno)

// create handles a call that makes an inode, which belongs to the caller, at the
// path that is argument pathArg, relative to the caller's descriptor dirfd. Mode
// has the file type. Make makes it, with the mode that it is given. Rec is what to
// record beside the owner.
func (c *Call) create(dirfd int32, pathArg int, mode uint32, make func(parent int, name *byte, mode uint32) unix.Errno, rec owner.Record) Result {
	// The kernel makes no devices.
	if c.inRuntime() || rec.Type == 0 && c.kernelSuffices(dirfd, pathArg) {
		return Continue
	}
	parent, name, slash, e := c.openParent(dirfd, pathArg)
	if e != 0 {
		return Errno(e)
	}
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

// mayMake decides whether an inode of that mode can be made by name in the directory
// parent, as far as the kernel does not.
func (c *Call) mayMake(parent *inode, name *byte, slash bool, mode uint32) unix.Errno {
	// Only a directory can be made by a name with a slash at its end.
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

// kernelSuffices tells, at the cost of one system call beside reading the path, that the
// kernel itself does the right thing for what the caller makes there.
func (c *Call) kernelSuffices(dirfd int32, pathArg int) bool {
	switch {
	case c.inRuntime():
		return true
	case !c.createsAsRoot(), c.Restricted():
		return false
	}
	dir, _, _, e := c.Target.Parent(dirfd, c.addr(pathArg))
	return e != 0 || c.kernelSufficesIn(dir)
}

// createsAsRoot reports whether what the caller makes belongs to whom the kernel shows.
func (c *Call) createsAsRoot() bool {
	if !c.Identities.InUse() {
		return true
	}
	s := c.identity()
	return s.UID.FS == c.Owners.Mapped.UID && s.GID.FS == c.Owners.Mapped.GID
}

// kernelSufficesIn tells, at the cost of one system call as a rule, that the kernel itself
// does the right thing for what the caller makes in dir.
func (c *Call) kernelSufficesIn(dir target.Path) bool {
	if !c.createsAsRoot() || dir.ViaProcSelf() || c.Restricted() {
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

// inherits reports whether an inode gets something from the directory parent that the
// kernel does not know of: a recorded default ACL, or the recorded group of a set-group-ID
// directory.
func (c *Call) inherits(parent *inode) bool {
	if !c.load(parent) {
		return false
	}
	return parent.record.Default != nil || parent.stat.Mode&unix.S_ISGID != 0 && c.visible(parent).GID != c.Owners.Mapped.GID
}

// makeIn makes an inode in the directory parent, and records its owner. The descriptor is the maker's, or -1 if a worker that died
// over this call has made the inode.
//
// One inode at a time is made in a directory. So what appears there between the
// look-up and the end is the caller's own, and can be known again when a worker
// dies in between.
func (c *Call) makeIn(parent *inode, name *byte, mode uint32, rec owner.Record, make maker) (int, unix.Errno) {
	c.Owners.Lock(parent.lockKey())
	defer c.Owners.Unlock(parent.lockKey())

	if !c.Listener.Waits() {
		return -1, unix.ESRCH // the path may be another's by now; nobody reads this
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
			*c.Intent = Intent{ID: c.ID, Began: sys.CoarseNow()}
		}
		var e unix.Errno
		if fd, e = make(dir, name, made.Mode); e != 0 {
			if e == unix.EINVAL && c.Intent.ID == c.ID && statName(dir, name) == 0 {
				// open(2) with O_DIRECT on a file system that cannot: the file stays.
				c.recordNew(dir, name, -1, &rec)
			} else {
				*c.Intent = Intent{} // who comes back makes it, or fails, as now
			}
			return -1, e
		}
	}
	e := c.recordNew(dir, name, fd, &rec)
	if e != 0 { // no room, or no sidecar
		// A file of O_TMPFILE has no name, but ".", which cannot be removed.
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

// recordNew records the owner of the inode that was just made, of which fd is a
// descriptor, or -1.
func (c *Call) recordNew(parent int, name *byte, fd int, rec *owner.Record) unix.Errno {
	if fd < 0 {
		var e unix.Errno
		if fd, e = sys.Openat(parent, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0); e != 0 {
			return 0 // removed again
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
	if id, ok := c.Owners.Get(fd, st.Mode); ok {
		rec.ID = id // somebody has changed the owner already
	}
	return c.Owners.SetRecord(fd, st.Mode, rec)
}

// isNew reports whether the inode of descriptor fd can be the one that was just made
// in the directory parent. Somebody may have moved another one there meanwhile,
// which must not change hands. Both times are by the clock of the file system.
func isNew(parent, fd int) bool {
	var dir unix.Statx_t
	if e := sys.Statx(parent, sys.Empty, unix.AT_EMPTY_PATH, unix.STATX_CTIME, &dir); e != 0 {
		return false
	}
	birth, e := birth(fd, sys.Empty, unix.AT_EMPTY_PATH)
	return e == 0 && birth >= nanoseconds(dir.Ctime)-granularity
}

// granularity is the coarsest of the times of files: that of vfat.
const granularity = 2e9

// mayHaveMade reports whether an earlier try of this call was about to make an inode.
func (c *Call) resumes() bool { return c.Again && c.Intent.ID == c.ID }

// made reports whether an earlier try of this call has made the inode name in the
// directory parent. It did not exist then. What has been made since is the
// caller's unless a call made it that the kernel was executing in the same moment.
func (c *Call) hasMade(parent int, name *byte) bool {
	if !c.resumes() {
		return false
	}
	birth, e := birth(parent, name, unix.AT_SYMLINK_NOFOLLOW)
	return e == 0 && birth >= c.Intent.Began-granularity && birth <= c.Before
}

// birth is when an inode was made, in nanoseconds. A file system that does not
// know says when it was changed. Flags are those of statx(2).
func birth(dirfd int, path *byte, flags int) (int64, unix.Errno) {
	var st unix.Statx_t
	e := sys.Statx(dirfd, path, flags, unix.STATX_BTIME|unix.STATX_CTIME, &st)
	if st.Mask&unix.STATX_BTIME == 0 {
		return nanoseconds(st.Ctime), e
	}
	return nanoseconds(st.Btime), e
}

func nanoseconds(t unix.StatxTimestamp) int64 { return t.Sec*1e9 + int64(t.Nsec) }

// lookup reports whether the directory parent has the name: 0, ENOENT, or another error.
func statName(parent int, name *byte) unix.Errno {
	var st unix.Statx_t
	return sys.Statx(parent, name, unix.AT_SYMLINK_NOFOLLOW, 0, &st)
}
