package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/perm"
	"github.com/rootless-containers/subuidless/internal/target"
)

// openRestricted handles a call of the open family by a restricted caller. Kind is the part
// of createFlags that the call has.
func (c *Call) openRestricted(o *opening, kind uint64) Result {
	flags := o.how.Flags
	if flags&unix.O_PATH == 0 {
		switch {
		// open(2): "EINVAL O_TMPFILE was specified in flags, but neither O_WRONLY nor
		// O_RDWR was specified", and it requires O_DIRECTORY; "EINVAL [...] O_CREAT |
		// O_DIRECTORY".
		case kind == tmpfileFlag && (flags&unix.O_ACCMODE == unix.O_RDONLY || flags&unix.O_DIRECTORY == 0),
			flags&(unix.O_CREAT|unix.O_DIRECTORY) == unix.O_CREAT|unix.O_DIRECTORY:
			return Continue
		case kind == tmpfileFlag:
			return c.openTmpfile(o)
		}
	}
	for range openAttempts {
		result := c.openPermitted(o)
		if result != Errno(unix.EEXIST) || flags&unix.O_EXCL != 0 {
			return result
		}
	}
	return Continue
}

// openPermitted is openOrCreate with permission checks.
func (c *Call) openPermitted(o *opening) Result {
	p, e := c.pathToOpen(o)
	if e != 0 {
		return Continue
	}
	flags := o.how.Flags
	creating := flags&(unix.O_CREAT|unix.O_PATH) == unix.O_CREAT && !o.byFD
	switch {
	case creating && p.HasSuffix("/"):
		return c.openTrailingSlash(p, o)
	case creating && c.resumes():
		return c.openNew(p, o) // which checks whether it exists
	}
	i, e := c.openResolve(p, o.how.Resolve)
	if e == unix.ENOENT && creating {
		if p, e = c.pathToOpen(o); e != 0 {
			return Errno(e)
		}
		return c.openNew(p, o)
	}
	if e != 0 {
		return continueUnlessDenied(e)
	}
	defer c.close(i)
	if flags&unix.O_PATH != 0 {
		return Continue
	}
	file, f := procFileNamed(p), mapFileNamed(&p)
	if creating {
		if flags&unix.O_EXCL != 0 {
			return Errno(unix.EEXIST)
		}
		if e := c.mayOpenShared(o, i); e != 0 {
			return Errno(e)
		}
	}
	result := c.openExisting(o, i, file, f)
	if result == Errno(unix.EACCES) && c.awaitRecord(o, i) {
		return c.openExisting(o, i, file, f)
	}
	return result
}

// awaitRecord reports whether the inode i has got a record after the caller was denied access to
// it. Another call may just have created it, and have recorded its owner since.
func (c *Call) awaitRecord(o *opening, i *inode) bool {
	if i.record.ID != unchanged { // permits has loaded it
		return false
	}
	p, e := c.pathToOpen(o)
	if e != 0 {
		return false
	}
	dir, _, _, e := c.openCreateParent(p, o.how.Resolve)
	if e != 0 {
		return false
	}
	defer c.close(dir)
	c.Owners.Lock(dir.lockKey()) // makeIn holds it
	c.Owners.Unlock(dir.lockKey())
	return c.load(i)
}

// openTrailingSlash handles a call that is to create the file p, whose name ends with a
// slash. The kernel gives EISDIR, after it has checked permissions on the way.
func (c *Call) openTrailingSlash(p target.Path, o *opening) Result {
	p.Follow = false
	parent, _, _, e := c.openCreateParent(p, o.how.Resolve)
	if e != 0 {
		return continueUnlessDenied(e)
	}
	c.close(parent)
	return Continue
}

// procFile is a kind of file in /proc/PID that every user may read according to its mode.
type procFile int

const (
	procFileOther   procFile = iota
	procFileIDs              // shows user ids: see showsIDs
	procFileGuarded          // guarded by PTRACE_MODE_READ_FSCREDS: see proc_pid_maps(5)
)

// procFileNamed returns the kind that a file of that name has in /proc/PID.
func procFileNamed(p target.Path) procFile {
	switch {
	case showsIDs(&p):
		return procFileIDs
	case p.HasSuffix("maps"), p.HasSuffix("smaps_rollup"), p.HasSuffix("fdinfo"): // maps, smaps and numa_maps
		return procFileGuarded
	}
	return procFileOther
}

// mayOpenShared checks whether the caller may open the existing inode i with O_CREAT.
func (c *Call) mayOpenShared(o *opening, i *inode) unix.Errno {
	if i.isDir() || i.kind() == unix.S_IFREG && c.Protected.Regular == 0 { // EISDIR
		return 0
	}
	p, e := c.pathToOpen(o)
	if e != 0 {
		return e
	}
	dir, _, _, e := c.openCreateParent(p, o.how.Resolve)
	if e != 0 {
		return e
	}
	defer c.close(dir)
	return c.Protected.MayOpenShared(*c.subject(), c.visible(dir), c.visible(i))
}

// openExisting opens an inode that exists, if the caller may. File is its kind in
// /proc/PID, by its name, and f the file of mapFileNamed.
func (c *Call) openExisting(o *opening, i *inode, file procFile, f mapFile) Result {
	flags := o.how.Flags
	want := accessMode(flags)
	switch kind := i.kind(); {
	case kind == unix.S_IFLNK, // ELOOP
		kind != unix.S_IFREG && flags&regularFlag != 0,                            // EFTYPE
		kind == unix.S_IFDIR && (want&perm.Write != 0 || flags&unix.O_CREAT != 0), // EISDIR
		kind != unix.S_IFDIR && flags&unix.O_DIRECTORY != 0:                       // ENOTDIR
		return Continue
	}
	regular := i.kind() == unix.S_IFREG
	if flags&regularFlag != 0 && i.stat.Size == 0 && c.load(i) && i.record.Type != 0 {
		return c.openDevice(i, flags)
	}
	if e := c.permits(i, want); e != 0 {
		// Before it truncates a file, the kernel checks whether the mount is writable.
		if regular && flags&unix.O_TRUNC != 0 {
			return Errno(i.preferEROFS(e))
		}
		return Errno(c.preferReadOnlyFS(i, want, e))
	}
	// open(2): "EPERM The O_NOATIME flag was specified, but the effective user ID of the
	// caller did not match the owner of the file and the caller was not privileged."
	if flags&unix.O_NOATIME != 0 && !perm.Owner(*c.subject(), c.visible(i)) {
		return Errno(unix.EPERM)
	}
	switch {
	case i.stat.Size == 0 && c.load(i) && i.record.Type != 0:
		return c.openDevice(i, flags)
	case i.kind() == unix.S_IFCHR && i.stat.Rdev == devPTMX:
		return c.openPTMX(i, flags)
	case regular && want == perm.Read && file == procFileIDs:
		return c.openCopy(i, f, flags)
	case regular && f != noMapFile:
		if task, e := c.taskOf(i); e == 0 {
			return c.openMapFile(i, f, task, flags)
		}
	case want == perm.Read && file == procFileGuarded && i.isProc():
		return continueUnlessDenied(c.mayInspect(i))
	case regular:
		if r, done := c.openSetID(i, flags); done {
			return r
		}
	}
	if regular && c.mightCreateAsRoot(o) && !i.isPseudoFile() {
		return c.reopen(i, flags)
	}
	return Continue
}

// accessMode returns the permissions that flags of open(2) require.
//
// "O_TRUNC [...] requires" write permission. The access mode 3 "means: check for read and
// write permission on the file".
func accessMode(flags uint64) uint32 {
	want := [...]uint32{unix.O_RDONLY: perm.Read, unix.O_WRONLY: perm.Write, unix.O_RDWR: perm.Read | perm.Write,
		unix.O_ACCMODE: perm.Read | perm.Write}[flags&unix.O_ACCMODE]
	if flags&unix.O_TRUNC != 0 {
		want |= perm.Write
	}
	return want
}
