package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// Rename handles rename(oldpath, newpath).
func Rename(c *Call) Result { return c.rename(unix.AT_FDCWD, 0, unix.AT_FDCWD, 1, 0) }

// Renameat handles renameat(olddirfd, oldpath, newdirfd, newpath).
func Renameat(c *Call) Result { return c.rename(c.int32(0), 1, c.int32(2), 3, 0) }

// Renameat2 handles renameat2(olddirfd, oldpath, newdirfd, newpath, flags).
func Renameat2(c *Call) Result { return c.rename(c.int32(0), 1, c.int32(2), 3, c.uint32(4)) }

const renameFlags = unix.RENAME_NOREPLACE | unix.RENAME_EXCHANGE | unix.RENAME_WHITEOUT

func (c *Call) rename(oldDirfd int32, oldArg int, newDirfd int32, newArg int, flags uint32) Result {
	exchange := flags&unix.RENAME_EXCHANGE != 0
	if flags&^renameFlags != 0 || exchange && flags != unix.RENAME_EXCHANGE {
		return c.refuseUnknown(unix.EINVAL)
	}
	if !c.Restricted() {
		if flags&^unix.RENAME_WHITEOUT == 0 {
			c.forgetPath(newDirfd, newArg)
		}
		return Continue
	}
	oldParent, oldName, oldSlash, e := c.openParent(oldDirfd, oldArg)
	if e != 0 {
		return continueUnlessDenied(e)
	}
	defer c.close(oldParent)
	if c.emptyString(newArg) {
		return Continue // ENOENT or EFAULT
	}
	source := c.openEntry(oldParent.fd, oldName)
	defer c.closeEntry(&source)
	named := isName(oldName)

	newParent, newName, newSlash, e := c.openParent(newDirfd, newArg)
	if e != 0 {
		return continueUnlessDenied(e)
	}
	defer c.close(newParent)
	destination := c.openEntry(newParent.fd, newName)
	defer c.closeEntry(&destination)

	switch {
	case !named || !isName(newName), // EBUSY or EEXIST
		newParent.stat.Nlink == 0,             // removed: ENOENT
		!source.exists(), destination.tooLong, // ENOENT, ENAMETOOLONG
		flags&unix.RENAME_NOREPLACE != 0 && destination.exists(), exchange && !destination.exists(), // EEXIST, ENOENT
		!source.isDir() && (oldSlash || !exchange && newSlash), exchange && !destination.isDir() && newSlash, // ENOTDIR
		source.isAncestorOf(newParent),      // EINVAL
		destination.isAncestorOf(oldParent), // ENOTEMPTY, or EINVAL
		// rename(2): "If oldpath and newpath are existing hard links referring to the same file,
		// then rename() does nothing, and returns a success status."
		destination.is(&source.stat):
		return Continue
	}
	moves := !oldParent.is(&newParent.stat)
	e = c.mayRename(oldParent, newParent, &source, &destination, exchange, moves)
	if e != 0 && sys.MountID(oldParent.fd) != sys.MountID(newParent.fd) {
		return Continue // EXDEV
	}
	if e == 0 && !exchange && destination.exists() {
		c.forget(destination.inode)
	}
	return continueOrDeny(oldParent, e)
}

// mayRename checks the permissions for a rename between existing directories.
func (c *Call) mayRename(
	oldParent, newParent *inode, source, destination *direntry, exchange, moves bool,
) unix.Errno {
	if e := c.mayDeleteEntry(oldParent, source); e != 0 {
		return e
	}
	if !destination.exists() {
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
