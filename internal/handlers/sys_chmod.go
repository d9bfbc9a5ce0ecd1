package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/perm"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// Chmod handles chmod(path, mode).
func Chmod(c *Call) Result { return c.chmod(byPath, c.uint32(1)) }

// Fchmod handles fchmod(fd, mode).
func Fchmod(c *Call) Result { return c.chmod(object{dirfd: c.int32(0), path: byFD}, c.uint32(1)) }

// Fchmodat handles the system call fchmodat(dirfd, path, mode), which has no flags.
func Fchmodat(c *Call) Result { return c.chmod(object{dirfd: c.int32(0), path: 1}, c.uint32(2)) }

// Fchmodat2 handles fchmodat2(dirfd, path, mode, flags).
func Fchmodat2(c *Call) Result {
	return c.chmod(object{dirfd: c.int32(0), path: 1, flags: c.uint32(3)}, c.uint32(2))
}

// chmod changes the mode of the object o. A recorded ACL needs no change: the record does
// not depend on the mode.
func (c *Call) chmod(o object, mode uint32) Result {
	if c.kernelDecides(1<<unix.CAP_FOWNER|1<<unix.CAP_FSETID) && !c.changesRecorded(o, mode) {
		return Continue
	}
	i, e := c.openObject(o)
	if e != 0 {
		return Errno(e)
	}
	defer c.close(i)
	if i.kind() == unix.S_IFLNK {
		return deny(i, unix.EOPNOTSUPP)
	}
	to, e := perm.Chmod(c.identity().Credentials, c.visible(i), mode)
	if e != 0 {
		return denyStatusChange(i, e)
	}
	if !c.Listener.Waits() {
		return Errno(unix.ESRCH)
	}
	if !i.mayHaveSetID() && (i.kind() != unix.S_IFREG || to&unix.S_ISVTX == 0) {
		return Errno(sys.FchmodOPath(i.fd, to))
	}
	c.Owners.Lock(i.lockKey())
	defer c.Owners.Unlock(i.lockKey())
	if e := c.refresh(i); e != 0 {
		return Errno(e)
	}
	return Errno(c.changeMode(i, to))
}

// changesRecorded reports whether the new mode of the object o concerns set-id bits that are
// or may have been recorded. Most modes have none of the bits, and make recorded ones void;
// but no chmod(2) must come between the steps of another receiver that moves them.
func (c *Call) changesRecorded(o object, mode uint32) bool {
	return (mode&owner.SetIDBits != 0 || c.Owners.SetIDInUse()) && c.pathMayHaveSetID(o, mode&unix.S_ISVTX != 0)
}
