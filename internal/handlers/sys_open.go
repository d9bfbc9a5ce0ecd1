package handlers

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/perm"
	"github.com/rootless-containers/subuidless/internal/sys"
	"github.com/rootless-containers/subuidless/internal/target"
)

// opening is a call of the open family.
type opening struct {
	dirfd   int32
	arg     int // index of the argument that holds the path
	how     unix.OpenHow
	openat2 bool // the call is openat2, for which unknown flags are errors
	byFD    bool // the path is empty, and means dirfd itself
}

// resolveCached is RESOLVE_CACHED of <linux/openat2.h>; resolveFlags are all flags that
// openat2(2) accepts in resolve.
const (
	resolveCached = 0x20
	resolveFlags  = unix.RESOLVE_NO_XDEV | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_BENEATH |
		unix.RESOLVE_IN_ROOT | resolveCached
)

// tmpfileFlag is __O_TMPFILE, the bit of O_TMPFILE that O_DIRECTORY does not have.
const tmpfileFlag = unix.O_TMPFILE &^ unix.O_DIRECTORY

// Open handles open(path, flags, mode).
func Open(c *Call) Result { return c.openat(unix.AT_FDCWD, 0, c.uint32(1), c.uint32(2)) }

// Openat handles openat(dirfd, path, flags, mode).
func Openat(c *Call) Result { return c.openat(c.int32(0), 1, c.uint32(2), c.uint32(3)) }

// Creat handles creat(path, mode).
//
// open(2): "A call to creat() is equivalent to calling open() with flags equal to
// O_CREAT|O_WRONLY|O_TRUNC."
func Creat(c *Call) Result {
	return c.openat(unix.AT_FDCWD, 0, unix.O_CREAT|unix.O_WRONLY|unix.O_TRUNC, c.uint32(1))
}

// knownFlags are all flags of open(2).
const knownFlags = unix.O_ACCMODE | unix.O_CREAT | unix.O_EXCL | unix.O_NOCTTY | unix.O_TRUNC | unix.O_APPEND |
	unix.O_NONBLOCK | unix.O_SYNC | unix.O_ASYNC | unix.O_DIRECT | Large | unix.O_DIRECTORY |
	unix.O_NOFOLLOW | unix.O_NOATIME | unix.O_CLOEXEC | unix.O_PATH | unix.O_TMPFILE

func (c *Call) openat(dirfd int32, arg int, flags, mode uint32) Result {
	return c.open(&opening{dirfd: dirfd, arg: arg, how: unix.OpenHow{Flags: uint64(flags), Mode: uint64(mode & 0o7777)}})
}

// Openat2 handles openat2(dirfd, path, how, size).
func Openat2(c *Call) Result {
	const confined = unix.RESOLVE_BENEATH | unix.RESOLVE_IN_ROOT
	o := opening{dirfd: c.int32(0), arg: 1, openat2: true}
	if e := c.readHow(c.addr(2), c.Data.Args[3], &o.how); e != 0 {
		return c.refuseUnknown(e)
	}
	known := uint64(knownFlags)
	if o.how.Flags&regularFlag != 0 && knowsRegular() {
		known |= regularFlag
	}
	if unknown := o.how.Flags &^ (known | regularFlag); unknown != 0 {
		known |= acceptedFlags(unknown)
	}
	switch {
	// "Whereas openat(2) ignores unknown bits in its flags argument, openat2() returns
	// an error if unknown or conflicting flags are specified in how.flags."
	case o.how.Flags&^known != 0, o.how.Resolve&^resolveFlags != 0, o.how.Resolve&resolveCached != 0 && !knowsCached():
		return c.refuseUnknown(unix.EINVAL)
	// open_how's mode: "this field must [...] contain valid mode bits", and be zero
	// unless a file may be created.
	case o.how.Mode&^0o7777 != 0, o.how.Mode != 0 && o.how.Flags&(unix.O_CREAT|tmpfileFlag) == 0,
		o.how.Flags&regularFlag != 0 && o.how.Flags&(unix.O_PATH|unix.O_DIRECTORY) != 0,
		o.how.Flags&unix.O_PATH != 0 && o.how.Flags&^(unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC|emptyPathFlag) != 0,
		o.how.Resolve&confined == confined,
		// openat2(2): EAGAIN if "the open operation cannot be performed using only cached
		// lookups".
		o.how.Resolve&resolveCached != 0 && o.how.Flags&(createFlags|unix.O_TRUNC) != 0:
		return Continue
	}
	o.how.Resolve &^= resolveCached // the kernel checks the rest of it
	return c.open(&o)
}

// readHow reads the caller's struct open_how. The error is EINVAL or E2BIG for its size, EFAULT, and
// E2BIG if a field that is unknown here is not zero: "extensions [...] by appending new fields to that
// structure, with a zero value in a new field resulting in the kernel behaving as though that
// extension field was not present", openat2(2).
func (c *Call) readHow(addr uintptr, size uint64, how *unix.OpenHow) unix.Errno {
	const known = uint64(unsafe.Sizeof(*how))
	switch {
	case size < known:
		return unix.EINVAL
	case size > uint64(unix.Getpagesize()):
		return unix.E2BIG
	}
	b := unsafe.Slice((*byte)(unsafe.Pointer(how)), known)
	if n, e := c.Target.Read(addr, b); e != 0 || uint64(n) < known {
		return unix.EFAULT
	}
	for at := known; at < size; {
		var rest [64]byte
		part := rest[:min(size-at, uint64(len(rest)))]
		if n, e := c.Target.Read(addr+uintptr(at), part); e != 0 || n < len(part) {
			return unix.EFAULT
		}
		if rest != [64]byte{} {
			return unix.E2BIG
		}
		at += uint64(len(part))
	}
	return 0
}

// createFlags are the flags that create a file.
const createFlags = unix.O_CREAT | tmpfileFlag

// open handles a call that opens a device, may create a file, or may have to be refused.
// The kernel opens all other files, and finds all errors of the arguments.
func (c *Call) open(o *opening) Result {
	kind := o.how.Flags & createFlags
	if o.how.Flags&unix.O_PATH != 0 {
		kind = 0 // open(2): "flag bits other than O_CLOEXEC, O_DIRECTORY, and O_NOFOLLOW are ignored"
	}
	if o.how.Flags&emptyPathFlag != 0 && c.addr(o.arg) != 0 && c.emptyString(o.arg) && knowsEmptyPath() {
		o.byFD = true
		kind &^= unix.O_CREAT // the file exists
	}
	switch {
	case c.inRuntime(), kind == createFlags:
		return Continue
	case c.Restricted():
		return c.openRestricted(o, kind)
	case o.how.Flags&unix.O_PATH != 0:
		return Continue
	case kind == 0 && o.how.Flags&(unix.O_ACCMODE|unix.O_TRUNC) == unix.O_RDONLY:
		return c.openForReading(o)
	}
	if kind == tmpfileFlag {
		return c.openTmpfile(o)
	}
	for range openAttempts {
		result := c.openOrCreate(o, kind)
		if result != Errno(unix.EEXIST) || o.how.Flags&unix.O_EXCL != 0 {
			return result
		}
		// Another task has just created the file, and may have removed it again.
	}
	return Continue
}

// openAttempts limits how often open retries when a file keeps appearing and disappearing.
const openAttempts = 16

// openOrCreate opens the file, or creates it if o says so and it does not exist. The error
// is EEXIST if another task creates it in between.
func (c *Call) openOrCreate(o *opening, kind uint64) Result {
	p, e := c.pathToOpen(o)
	if e != 0 || o.how.Resolve != 0 && p.ViaProcSelf() && c.createsAsRoot() {
		return Continue
	}
	if c.resumes() {
		return c.openNew(p, o) // which checks whether it exists
	}
	const exclusive = unix.O_CREAT | unix.O_EXCL
	if f := mapFileNamed(&p); f != noMapFile && o.how.Flags&unix.O_DIRECTORY == 0 && o.how.Flags&exclusive != exclusive {
		if r, done := c.openMapFileAt(p, f, o.how.Flags); done {
			return r
		}
	}
	found, result := c.find(p, o)
	if found != missing && found != dangling || kind == 0 || o.how.Flags&unix.O_DIRECTORY != 0 {
		return result
	}
	if found == missing {
		if dir, _, _, e := c.Target.ParentOf(p); e != 0 || c.kernelSufficesIn(dir) {
			return Continue
		}
		if p, e = c.pathToOpen(o); e != 0 {
			return Errno(e)
		}
	}
	return c.openNew(p, o)
}

// openForReading handles a call that opens for reading only.
func (c *Call) openForReading(o *opening) Result {
	ids, devices := c.Identities.InUse() || c.IPC.InUse(), c.Owners.DevicesInUse()
	if !ids && !devices && !c.ShowMaps {
		return Continue
	}
	p, e := c.pathToOpen(o)
	switch {
	case e != 0:
		return Continue
	case ids && showsIDs(&p), c.ShowMaps && mapFileNamed(&p) != noMapFile:
		return c.openShowingIDs(p, o.how.Flags)
	case ids && c.mayLeadToOther(&p):
		return c.openPermitted(o)
	case devices: // except null, whose placeholder the kernel reads as an empty file
		_, result := c.find(p, o)
		return result
	}
	return Continue
}

// pathToOpen reads the path of o.
func (c *Call) pathToOpen(o *opening) (target.Path, unix.Errno) {
	var flags uint32
	// open(2), O_EXCL: "symbolic links are not followed". O_PATH ignores it.
	const exclusive = unix.O_CREAT | unix.O_EXCL
	if o.how.Flags&unix.O_NOFOLLOW != 0 || o.how.Flags&(exclusive|unix.O_PATH) == exclusive {
		flags = unix.AT_SYMLINK_NOFOLLOW
	}
	if o.byFD {
		flags |= unix.AT_EMPTY_PATH
	}
	return c.Target.Path(o.dirfd, c.addr(o.arg), flags)
}

// existence is what find learns about the file that is to be opened.
type existence int

const (
	mayExist existence = iota // it exists, or an error occurred: the Result of find is the answer
	missing                   // no such file
	dangling                  // a symbolic link to a file that does not exist
)

// find looks for the file that is to be opened. It handles the call if the supervisor has
// to open the file: a device, or a regular file that the kernel might create anew or that has
// set-id bits.
func (c *Call) find(p target.Path, o *opening) (existence, Result) {
	if o.how.Resolve == 0 && !p.ViaProcSelf() {
		switch classify(p) {
		case missingFile:
			if !c.Target.IsLink(p) {
				return missing, Continue
			}
		case ordinaryFile:
			if !c.mightCreateAsRoot(o) {
				return mayExist, Continue
			}
		}
	}
	i, e := c.openResolve(p, o.how.Resolve)
	if e == unix.ENOENT {
		return dangling, Continue
	}
	if e != 0 {
		return mayExist, Continue
	}
	defer c.close(i)
	if i.kind() != unix.S_IFREG && o.how.Flags&(unix.O_CREAT|unix.O_EXCL|unix.O_DIRECTORY|unix.O_PATH) == unix.O_CREAT {
		if e := c.mayOpenShared(o, i); e != 0 {
			return mayExist, Errno(e)
		}
	}
	if i.stat.Size == 0 && c.load(i) && i.record.Type != 0 {
		return mayExist, c.openDevice(i, o.how.Flags)
	}
	if i.kind() == unix.S_IFCHR && i.stat.Rdev == devPTMX {
		return mayExist, c.openPTMX(i, o.how.Flags)
	}
	if i.kind() == unix.S_IFREG && o.how.Flags&(unix.O_CREAT|unix.O_EXCL) != unix.O_CREAT|unix.O_EXCL {
		if r, done := c.openSetID(i, o.how.Flags); done {
			return mayExist, r
		}
	}
	if i.kind() == unix.S_IFREG && c.mightCreateAsRoot(o) && !i.isPseudoFile() {
		return mayExist, c.reopen(i, o.how.Flags)
	}
	return mayExist, Continue
}

// mightCreateAsRoot reports whether the kernel, if it executed the call o, might create a
// file that belongs to root instead of the caller.
func (c *Call) mightCreateAsRoot(o *opening) bool {
	return o.how.Flags&(unix.O_CREAT|unix.O_EXCL|unix.O_DIRECTORY) == unix.O_CREAT && !c.createsAsRoot()
}

// reopen opens a regular file that exists, for a call with these flags of open(2) that
// would create it otherwise. The kernel must not execute the call: the file may be gone by
// then, as lock files tend to be, and the kernel would create one that belongs to root.
func (c *Call) reopen(i *inode, flags uint64) Result {
	if flags&unix.O_TRUNC != 0 && !c.Target.HasFreeFDs(1) {
		return Errno(unix.EMFILE)
	}
	opened, e := sys.Reopen(i.fd, int(flags&^(unix.O_CREAT|unix.O_NOFOLLOW)|unix.O_CLOEXEC))
	if e != 0 {
		return Errno(e)
	}
	return File(opened, flags&unix.O_CLOEXEC != 0)
}

// fileClass is what classify sees of a file that is to be opened.
type fileClass int

const (
	ordinaryFile fileClass = iota // the kernel opens it, or returns the error
	missingFile
	specialFile // the supervisor may have to open it
)

// classify reports, at the cost of one system call, whether the supervisor may have to open
// p: because it may be the placeholder of a device (an empty file or a socket), is the
// multiplexer of pseudoterminals, may have set-id bits, or is a symbolic link that is not to be
// followed.
func classify(p target.Path) fileClass {
	var st unix.Statx_t
	switch statxPath(p, unix.STATX_TYPE|unix.STATX_MODE|unix.STATX_SIZE, &st) {
	case 0:
	case unix.ENOENT:
		return missingFile
	default:
		return ordinaryFile
	}
	kind := st.Mode & unix.S_IFMT
	switch {
	case kind == unix.S_IFSOCK, kind == unix.S_IFLNK, kind == unix.S_IFREG && (st.Size == 0 || st.Mode&owner.SetIDBits != 0),
		kind == unix.S_IFCHR && unix.Mkdev(st.Rdev_major, st.Rdev_minor) == devPTMX:
		return specialFile
	}
	return ordinaryFile
}

// openNew creates and opens the file p, which does not exist.
func (c *Call) openNew(p target.Path, o *opening) Result {
	parent, name, slash, e := c.openCreateParent(p, o.how.Resolve)
	if e != 0 {
		return Errno(e)
	}
	parent = c.begunIn(parent)
	defer c.close(parent)
	if c.finished() {
		if made := c.findInode(parent.fd, c.Intent.Done); made != nil {
			defer c.close(made)
			return c.reopen(made, o.how.Flags&^(unix.O_EXCL|unix.O_TRUNC))
		}
	}
	if !slash && c.Restricted() {
		if e := c.mayModify(parent); e != 0 {
			return deny(parent, e)
		}
	}
	if slash || c.createsAsRoot() && !c.inherits(parent) {
		return Continue // EISDIR, if the name has a slash at its end
	}
	if !c.Target.HasFreeFDs(1) {
		return Errno(unix.EMFILE)
	}
	how := o.how
	how.Flags |= unix.O_EXCL | unix.O_CLOEXEC // O_EXCL also prevents following a link
	how.Resolve = 0
	fd, e := c.makeIn(parent, name, uint32(how.Mode)|unix.S_IFREG, owner.Record{}, o.maker(&how))
	switch {
	case e != 0:
		return Errno(e)
	case fd < 0: // an earlier attempt has created it
		how.Flags = how.Flags&^(unix.O_CREAT|unix.O_EXCL) | unix.O_NOFOLLOW
		how.Mode = 0
		if fd, e = o.maker(&how)(parent.fd, name, 0); e != 0 {
			return Errno(e)
		}
	}
	return File(fd, o.how.Flags&unix.O_CLOEXEC != 0)
}

// openTmpfile creates and opens a file without a name in the directory of the path.
func (c *Call) openTmpfile(o *opening) Result {
	p, e := c.pathToOpen(o)
	if e != 0 || o.how.Resolve == 0 && c.kernelSufficesIn(p) {
		return Continue
	}
	parent, e := c.openResolve(p, o.how.Resolve)
	if e != 0 {
		return continueUnlessDenied(e)
	}
	defer c.close(parent)
	if parent.isDir() && c.Restricted() {
		if e := c.permits(parent, perm.Write|perm.Exec); e != 0 {
			return deny(parent, e)
		}
	}
	if c.createsAsRoot() && !c.inherits(parent) {
		return Continue
	}
	how := o.how
	how.Flags |= unix.O_CLOEXEC
	how.Resolve = 0
	fd, e := c.makeIn(parent, sys.Dot, uint32(how.Mode)|unix.S_IFREG, owner.Record{}, o.maker(&how))
	if e != 0 {
		return Errno(e)
	}
	return File(fd, o.how.Flags&unix.O_CLOEXEC != 0)
}

// maker returns a maker that opens a file as the call o does.
func (o *opening) maker(how *unix.OpenHow) maker {
	return func(parent int, name *byte, mode uint32) (int, unix.Errno) {
		if !o.openat2 {
			return sys.Openat(parent, name, int(how.Flags), mode&0o7777)
		}
		how.Mode = uint64(mode & 0o7777)
		return sys.Openat2(parent, name, how)
	}
}
