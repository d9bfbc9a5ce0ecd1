package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/perm"
	"github.com/rootless-containers/subuidless/internal/sys"
	"github.com/rootless-containers/subuidless/internal/target"
)

// inode is an inode that a call concerns: a descriptor, the kernel's status, and the
// record. All are read from the one descriptor, because a path may lead elsewhere at any
// time.
//
// A handler gets it from openObject, openPath and similar methods, and must close it.
type inode struct {
	fd     int          // the supervisor's, usually opened with O_PATH
	stat   unix.Stat_t  // status at the time of opening
	record owner.Record // valid after load or visible
}

// kind returns the file type, such as S_IFREG.
func (i *inode) kind() uint32 { return i.stat.Mode & unix.S_IFMT }

func (i *inode) isDir() bool { return i.kind() == unix.S_IFDIR }

// hasUserXattrs reports whether the inode is of a type that can have user.* attributes.
func (i *inode) hasUserXattrs() bool { return i.isDir() || i.kind() == unix.S_IFREG }

// lockKey returns the key of the inode for owner.Store.Lock.
func (i *inode) lockKey() owner.Inode { return owner.Inode{Dev: i.stat.Dev, Ino: i.stat.Ino} }

// is reports whether st is a status of the same inode.
func (i *inode) is(st *unix.Stat_t) bool { return i.stat.Dev == st.Dev && i.stat.Ino == st.Ino }

// inodePool holds the inodes that a Call does not use at the moment, so that getting one
// allocates nothing.
type inodePool struct{ free []*inode }

// newInode takes an inode for the descriptor fd from the pool. Its status is not valid yet.
func (c *Call) newInode(fd int) *inode {
	last := len(c.inodes.free) - 1
	if last < 0 {
		return &inode{fd: fd}
	}
	i := c.inodes.free[last]
	c.inodes.free = c.inodes.free[:last]
	i.fd = fd
	return i
}

// release returns an inode to the pool. Its descriptor stays open.
func (c *Call) release(i *inode) { c.inodes.free = append(c.inodes.free, i) }

// close closes the descriptor of an inode, and returns the inode to the pool.
func (c *Call) close(i *inode) {
	unix.Close(i.fd)
	c.release(i)
}

// opened completes i with the descriptor fd, or releases it if e is an error.
func (c *Call) opened(i *inode, fd int, e unix.Errno) (*inode, unix.Errno) {
	if e != 0 {
		c.release(i)
		return nil, e
	}
	i.fd = fd
	return i, 0
}

// borrow returns an inode for a descriptor that the caller of borrow keeps and closes, with
// the status st. It must be released, not closed.
func (c *Call) borrow(fd int, st *unix.Stat_t) *inode {
	i := c.newInode(fd)
	i.stat = *st
	return i
}

// borrowFD is borrow with the status read from the kernel.
func (c *Call) borrowFD(fd int) (*inode, unix.Errno) {
	i := c.newInode(fd)
	return c.opened(i, fd, sys.Fstat(fd, &i.stat))
}

// openPath opens the object that p names with O_PATH.
func (c *Call) openPath(p target.Path) (*inode, unix.Errno) {
	i := c.newInode(-1)
	fd, e := c.Target.Open(p, &i.stat)
	return c.opened(i, fd, e)
}

// openResolve is openPath with RESOLVE_* flags of openat2(2).
func (c *Call) openResolve(p target.Path, resolve uint64) (*inode, unix.Errno) {
	i := c.newInode(-1)
	fd, e := c.Target.OpenResolve(p, resolve, &i.stat)
	return c.opened(i, fd, e)
}

// openFD opens the object of the caller's descriptor fd with O_PATH. The error is EBADF if
// the descriptor itself was opened with O_PATH.
func (c *Call) openFD(fd int32) (*inode, unix.Errno) {
	i := c.newInode(-1)
	own, e := c.Target.OpenFD(fd, &i.stat)
	return c.opened(i, own, e)
}

// dupFD duplicates the caller's descriptor fd: see target.Task.Dup.
func (c *Call) dupFD(fd int32) (*inode, unix.Errno) {
	own, e := c.Target.Dup(fd)
	if e != 0 {
		return nil, e
	}
	i, e := c.borrowFD(own)
	if e != 0 {
		unix.Close(own)
	}
	return i, e
}

// unchecked answers a call that needs a capability if target.Task.Dup has failed with e: EBADF is the
// kernel's to return. Where an old kernel cannot duplicate the descriptor, the kernel cannot be
// asked what it would say to the caller either, so the call fails.
func unchecked(e unix.Errno) Result {
	if e == unix.EBADF {
		return Continue
	}
	return Errno(unix.EPERM)
}

// openDirectory opens a directory in which a name is to be looked up.
func (c *Call) openDirectory(dir target.Path) (*inode, unix.Errno) {
	i := c.newInode(-1)
	fd, e := c.Target.OpenDirectory(dir, &i.stat)
	return c.opened(i, fd, e)
}

// openCreateParent opens the directory in which open(2) with O_CREAT would create the file
// p, which does not exist: see target.Task.OpenParent.
func (c *Call) openCreateParent(p target.Path, resolve uint64) (parent *inode, name *byte, slash bool, e unix.Errno) {
	i := c.newInode(-1)
	fd, name, slash, e := c.Target.OpenParent(p, resolve, &i.stat)
	parent, e = c.opened(i, fd, e)
	return parent, name, slash, e
}

// openParent opens the directory that holds the last component of the path at argument arg,
// relative to the caller's descriptor dirfd. Name is that component, valid until the next
// path is read; slash reports whether slashes follow it.
func (c *Call) openParent(dirfd int32, arg int) (parent *inode, name *byte, slash bool, e unix.Errno) {
	dir, name, slash, e := c.Target.Parent(dirfd, c.addr(arg))
	if e != 0 {
		return nil, nil, false, e
	}
	parent, e = c.openDirectory(dir)
	return parent, name, slash, e
}

// load fills i.record, and reports whether the inode has a record.
func (c *Call) load(i *inode) bool {
	recorded := c.Owners.Record(i.fd, i.stat.Mode, &i.record)
	if i.record.NewMode != 0 {
		i.stat.Mode = i.record.NewMode
	}
	return recorded
}

// visible returns owner and mode of the inode as programs in the container see them. It
// fills i.record.
func (c *Call) visible(i *inode) perm.Inode {
	recorded := c.load(i)
	id := i.record.ID
	if !recorded {
		if task, ok := c.procOwner(i); ok {
			id = task
		} else if !c.createsAsRoot() && i.isAnonymous() {
			id = c.fsIDs()
		}
	}
	id = id.Over(c.mapped(owner.ID{UID: i.stat.Uid, GID: i.stat.Gid}))
	return perm.Inode{UID: id.UID, GID: id.GID, Mode: i.mode()}
}

// mapped returns the owner id that the kernel shows, with perm.NoID for an id that the user
// namespace does not map. The kernel shows that as the overflow id, which an emulated user may
// have, too; but what belongs to nobody in the container is not that user's.
func (c *Call) mapped(id owner.ID) owner.ID {
	if id.UID == overflowID && id.UID != c.Owners.Mapped.UID {
		id.UID = perm.NoID
	}
	if id.GID == overflowID && id.GID != c.Owners.Mapped.GID {
		id.GID = perm.NoID
	}
	return id
}

// path returns the absolute path of the inode, from the root directory of the thread.
func (i *inode) path() ([]byte, unix.Errno) {
	path := make([]byte, unix.PathMax)
	var link sys.FDPath
	n, e := sys.Readlinkat(unix.AT_FDCWD, link.Of(i.fd), path)
	return path[:max(n, 0)], e
}

// isProc reports whether the inode is on procfs.
func (i *inode) isProc() bool { return sys.FileSystem(i.fd) == unix.PROC_SUPER_MAGIC }

// isMountOf reports whether a file system of the given type, as statfs(2) has it in f_type, is
// mounted at the inode.
func (i *inode) isMountOf(fileSystem int64) bool {
	var st unix.Statx_t
	return sys.FileSystem(i.fd) == fileSystem && sys.Statx(i.fd, sys.Empty, unix.AT_EMPTY_PATH, 0, &st) == 0 &&
		st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
}

// isPseudoFile reports whether the inode is on a pseudo file system of the kernel, where
// programs cannot create or remove files.
func (i *inode) isPseudoFile() bool {
	switch sys.FileSystem(i.fd) {
	case unix.PROC_SUPER_MAGIC, unix.SYSFS_MAGIC, unix.CGROUP_SUPER_MAGIC, unix.CGROUP2_SUPER_MAGIC:
		return true
	}
	return false
}

// isAnonymous reports whether the inode is a pipe or a socket without a name.
func (i *inode) isAnonymous() bool {
	switch i.kind() {
	case unix.S_IFIFO, unix.S_IFSOCK:
		kind := sys.FileSystem(i.fd)
		return kind == unix.PIPEFS_MAGIC || kind == unix.SOCKFS_MAGIC
	}
	return false
}

// isImmutable reports whether no user may write to the inode, for example because of
// FS_IMMUTABLE_FL. The kernel checks that before permissions. The directories of processes
// in procfs count as immutable, too.
func (i *inode) isImmutable() bool { return sys.Access(i.fd, unix.W_OK) == unix.EPERM }

// preferReadOnlyFS returns EROFS instead of e, why the caller may not have the permissions
// want, if it wants to write and the file system of the inode is read-only, which the kernel
// checks first. Whether the mount is, it checks later.
func (c *Call) preferReadOnlyFS(i *inode, want uint32, e unix.Errno) unix.Errno {
	switch i.kind() {
	case unix.S_IFREG, unix.S_IFDIR, unix.S_IFLNK:
		if e != 0 && want&perm.Write != 0 && c.Target.IsReadOnlyFS(i.fd) {
			return unix.EROFS
		}
	}
	return e
}

// preferEROFS returns EROFS instead of the permission error e if the inode is on a
// read-only mount, which the kernel checks first.
func (i *inode) preferEROFS(e unix.Errno) unix.Errno {
	var fs unix.Statfs_t
	if e != 0 && sys.Fstatfs(i.fd, &fs) == 0 && fs.Flags&unix.ST_RDONLY != 0 {
		return unix.EROFS
	}
	return e
}
