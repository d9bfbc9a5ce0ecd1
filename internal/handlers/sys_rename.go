package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/perm"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// Calls that remove and move names, and make further ones. The kernel executes them
// if the caller may. Its own errors go before those of a missing permission where it
// looks for them first.

// Unlink answers unlink(path).
func Unlink(c *Call) Result { return c.remove(unix.AT_FDCWD, 0, false) }

// Unlinkat answers unlinkat(dirfd, path, flags).
func Unlinkat(c *Call) Result {
	flags := c.uint32(2)
	if flags&^unix.AT_REMOVEDIR != 0 {
		return Continue // EINVAL
	}
	return c.remove(c.int32(0), 1, flags != 0)
}

// Rmdir answers rmdir(path).
func Rmdir(c *Call) Result { return c.remove(unix.AT_FDCWD, 0, true) }

// remove answers a call that removes a name.
func (c *Call) remove(dirfd int32, arg int, directory bool) Result {
	if !c.Restricted() {
		return Continue
	}
	parent, name, slash, e := c.lookUp(dirfd, arg)
	if e != 0 {
		return continueUnlessDenied(e)
	}
	defer unix.Close(parent)
	// EISDIR, ENOTEMPTY, EINVAL or EBUSY; and of a file with a slash at its end, ENOTDIR.
	if !isName(name) || slash && !directory {
		return Continue
	}
	return continueUnless(parent, c.mayDelete(parent, name))
}

// Rename answers rename(oldpath, newpath).
func Rename(c *Call) Result { return c.rename(unix.AT_FDCWD, 0, unix.AT_FDCWD, 1, 0) }

// Renameat answers renameat(olddirfd, oldpath, newdirfd, newpath).
func Renameat(c *Call) Result { return c.rename(c.int32(0), 1, c.int32(2), 3, 0) }

// Renameat2 answers renameat2(olddirfd, oldpath, newdirfd, newpath, flags).
func Renameat2(c *Call) Result { return c.rename(c.int32(0), 1, c.int32(2), 3, c.uint32(4)) }

const renameFlags = unix.RENAME_NOREPLACE | unix.RENAME_EXCHANGE | unix.RENAME_WHITEOUT

func (c *Call) rename(oldDirfd int32, oldArg int, newDirfd int32, newArg int, flags uint32) Result {
	exchange := flags&unix.RENAME_EXCHANGE != 0
	if !c.Restricted() || flags&^renameFlags != 0 || exchange && flags != unix.RENAME_EXCHANGE {
		return Continue
	}
	oldParent, oldName, oldSlash, e := c.lookUp(oldDirfd, oldArg)
	if e != 0 {
		return continueUnlessDenied(e)
	}
	defer unix.Close(oldParent)
	if c.emptyString(newArg) {
		return Continue // ENOENT or EFAULT
	}
	source := c.entry(oldParent, oldName)
	defer source.close()
	named := isName(oldName)

	newParent, newName, newSlash, e := c.lookUp(newDirfd, newArg)
	if e != 0 {
		return continueUnlessDenied(e)
	}
	defer unix.Close(newParent)
	destination := c.entry(newParent, newName)
	defer destination.close()

	dir := c.stat
	if e := sys.Fstat(oldParent, &c.stat); e != 0 {
		return Errno(e)
	}
	switch {
	case !named || !isName(newName), // EBUSY or EEXIST
		dir.Nlink == 0,                     // removed: ENOENT
		!source.exists(), destination.long, // ENOENT, ENAMETOOLONG
		flags&unix.RENAME_NOREPLACE != 0 && destination.exists(), exchange && !destination.exists(), // EEXIST, ENOENT
		!source.isDir() && (oldSlash || !exchange && newSlash), exchange && !destination.isDir() && newSlash, // ENOTDIR
		source.isAbove(newParent),      // EINVAL
		destination.isAbove(oldParent), // ENOTEMPTY, or EINVAL
		// rename(2): "If oldpath and newpath are existing hard links referring to the same file,
		// then rename() does nothing, and returns a success status."
		destination.is(&source.stat):
		return Continue
	}
	moves := c.stat.Ino != dir.Ino || c.stat.Dev != dir.Dev
	e = c.mayRename(oldParent, newParent, &source, &destination, exchange, moves)
	if e != 0 && sys.MountID(oldParent) != sys.MountID(newParent) {
		return Continue // EXDEV
	}
	return continueUnless(oldParent, e)
}

// mayRename decides about a rename between existing directories.
func (c *Call) mayRename(oldParent, newParent int, source, destination *entry, exchange, moves bool) unix.Errno {
	if e := c.mayDeleteEntry(oldParent, source); e != 0 {
		return e
	}
	if !destination.exists() {
		if e := sys.Fstat(newParent, &c.stat); e != 0 {
			return e
		}
		if e := c.mayModify(newParent); e != 0 {
			return e
		}
	} else {
		if e := c.mayDeleteEntry(newParent, destination); e != 0 {
			return e
		}
		if !exchange && source.isDir() != destination.isDir() {
			return 0 // ENOTDIR or EISDIR
		}
	}
	// rename(2), EACCES: "oldpath is a directory and does not allow write permission (needed to
	// update the .. entry)".
	if moves && source.isDir() {
		if e := c.mayWriteEntry(oldParent, source); e != 0 {
			return e
		}
	}
	if moves && exchange && destination.isDir() {
		return c.mayWriteEntry(newParent, destination)
	}
	return 0
}

// Link answers link(oldpath, newpath).
func Link(c *Call) Result {
	return c.link(object{dirfd: unix.AT_FDCWD, flags: unix.AT_SYMLINK_NOFOLLOW}, unix.AT_FDCWD, 1)
}

// Linkat answers linkat(olddirfd, oldpath, newdirfd, newpath, flags).
func Linkat(c *Call) Result {
	flags := c.uint32(4)
	if flags&^(unix.AT_SYMLINK_FOLLOW|unix.AT_EMPTY_PATH) != 0 {
		return Continue // EINVAL
	}
	o := object{dirfd: c.int32(0), path: 1, flags: flags & unix.AT_EMPTY_PATH}
	if flags&unix.AT_SYMLINK_FOLLOW == 0 {
		o.flags |= unix.AT_SYMLINK_NOFOLLOW
	}
	return c.link(o, c.int32(2), 3)
}

// link answers a call that makes another name for the object o.
func (c *Call) link(o object, dirfd int32, arg int) Result {
	if !c.Restricted() {
		return Continue
	}
	fd, e := c.openObject(o)
	if e != 0 {
		return continueUnlessDenied(e)
	}
	defer unix.Close(fd)
	if c.emptyString(arg) {
		return Continue // ENOENT or EFAULT
	}
	stat := c.stat
	parent, name, slash, e := c.lookUp(dirfd, arg)
	if e != 0 {
		return continueUnlessDenied(e)
	}
	defer unix.Close(parent)
	// EEXIST and ENOENT. In a directory that has been removed, and in procfs, nothing can be made: ENOENT.
	if !isName(name) || slash || lookup(parent, name) != unix.ENOENT || c.stat.Nlink == 0 || isProc(parent) {
		return Continue
	}
	dir := c.stat
	c.stat = stat
	i := c.visible(fd)
	e = c.Protected.MayLink(*c.subject(), i, c.accessACL(fd))
	if e == 0 {
		c.stat = dir
		e = c.mayModify(parent)
	}
	if e != 0 && readOnlyFirst(parent, e) != unix.EROFS && sys.MountID(fd) != sys.MountID(parent) {
		return Continue // EXDEV
	}
	return continueUnless(parent, e)
}

// continueUnless lets the kernel execute a call, unless there was an error e in the directory
// that fd refers to.
func continueUnless(fd int, e unix.Errno) Result {
	if e == 0 {
		return Continue
	}
	return deny(fd, e)
}

// entry is what a name in a directory stands for: nothing, if fd is -1.
type entry struct {
	fd   int // O_PATH
	stat unix.Stat_t
	long bool // the name is too long for the file system
}

// entry looks name up in the directory parent.
func (c *Call) entry(parent int, name *byte) entry {
	n := entry{fd: -1}
	fd, e := sys.Openat(parent, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if e != 0 {
		n.long = e == unix.ENAMETOOLONG
		return n
	}
	if sys.Fstat(fd, &n.stat) != 0 {
		unix.Close(fd)
		return n
	}
	n.fd = fd
	return n
}

func (n *entry) close() {
	if n.exists() {
		unix.Close(n.fd)
	}
}

func (n *entry) exists() bool { return n.fd >= 0 }

func (n *entry) isDir() bool { return n.exists() && n.stat.Mode&unix.S_IFMT == unix.S_IFDIR }

// is tells whether st is the status of the entry.
func (n *entry) is(st *unix.Stat_t) bool {
	return n.exists() && n.stat.Dev == st.Dev && n.stat.Ino == st.Ino
}

// isMountPoint tells whether something is mounted on the entry of the directory parent. Then
// whose it is cannot be seen from above, and nobody may remove it.
func (n *entry) isMountPoint(parent int) bool { return sys.MountID(n.fd) != sys.MountID(parent) }

// isAbove tells whether the entry is the directory that fd refers to, or one that contains it.
func (n *entry) isAbove(fd int) bool {
	if !n.isDir() {
		return false
	}
	var st, below unix.Stat_t
	if sys.Fstat(fd, &st) != 0 {
		return false
	}
	for at := fd; !n.is(&st); {
		up, e := sys.Openat(at, sys.DotDot, unix.O_PATH|unix.O_CLOEXEC, 0)
		if at != fd {
			unix.Close(at)
		}
		if e != 0 {
			return false
		}
		at, below = up, st
		e = sys.Fstat(at, &st)
		// Only the root directory is its own parent.
		if e != 0 || st.Dev == below.Dev && st.Ino == below.Ino {
			unix.Close(at)
			return false
		}
		if n.is(&st) {
			unix.Close(at)
		}
	}
	return true
}

// mayDelete decides whether the caller may remove the name from the directory parent. A
// name that is not there is the kernel's to miss.
func (c *Call) mayDelete(parent int, name *byte) unix.Errno {
	victim := c.entry(parent, name)
	defer victim.close()
	if !victim.exists() {
		return 0
	}
	return c.mayDeleteEntry(parent, &victim)
}

// mayDeleteEntry decides whether the caller may remove the entry from the directory parent.
func (c *Call) mayDeleteEntry(parent int, victim *entry) unix.Errno {
	if e := sys.Fstat(parent, &c.stat); e != 0 {
		return e
	}
	if e := c.mayModify(parent); e != 0 {
		return e
	}
	if c.stat.Mode&unix.S_ISVTX == 0 {
		return 0
	}
	dir := c.visible(parent)
	c.stat = victim.stat
	e := perm.MayDelete(*c.subject(), dir, c.visible(victim.fd))
	if e != 0 && victim.isMountPoint(parent) {
		return 0 // EBUSY
	}
	return e
}

// mayWriteEntry decides whether the caller may write to the entry of the directory parent.
func (c *Call) mayWriteEntry(parent int, n *entry) unix.Errno {
	c.stat = n.stat
	e := c.permits(n.fd, perm.Write)
	if e != 0 && n.isMountPoint(parent) {
		return 0 // EBUSY
	}
	return e
}

// lookUp opens the directory in which a call finds the last name of the path at argument arg,
// relative to the caller's descriptor dirfd, and fills c.stat. Name is valid until the next path
// is read; slash tells whether slashes follow it.
func (c *Call) lookUp(dirfd int32, arg int) (parent int, name *byte, slash bool, e unix.Errno) {
	dir, name, slash, e := c.Target.Parent(dirfd, c.addr(arg))
	if e != 0 {
		return -1, nil, false, e
	}
	parent, e = c.Target.OpenDirectory(dir, &c.stat)
	return parent, name, slash, e
}

// isName tells whether the last name of a path stands for an entry that can be made or
// removed: not "." or "..".
func isName(name *byte) bool {
	switch unix.BytePtrToString(name) {
	case ".", "..":
		return false
	}
	return true
}

// emptyString tells whether the argument i is no readable string, or an empty one.
func (c *Call) emptyString(i int) bool {
	var b [1]byte
	n, e := c.Target.Read(c.addr(i), b[:])
	return e != 0 || n == 0 || b[0] == 0
}
