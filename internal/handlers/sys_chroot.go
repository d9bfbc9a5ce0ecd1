package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// NewRoot handles the calls that give a task another root directory or mount namespace. The
// kernel executes them; from then on, paths are resolved for each task from its own root.
func NewRoot(c *Call) Result {
	c.Roots.RootsDiffer(c.PID)
	return Continue
}

// Chroot handles chroot(path).
func Chroot(c *Call) Result {
	// The errors of chdir(2) come first, in its order.
	if r := Chdir(c); r.Errno != 0 {
		return r
	}
	if e := c.lacksAt(unix.CAP_SYS_CHROOT, 0, 0, true); e != 0 {
		return Errno(e)
	}
	return NewRoot(c)
}

// Fchroot handles fchroot(fd, flags), of Linux 7.3.
func Fchroot(c *Call) Result {
	fd := c.int32(0)
	switch {
	case sys.Fchroot(-1, 1) == unix.ENOSYS:
		return Continue
	case c.uint32(1) != 0:
		return c.refuseUnknown(unix.EINVAL)
	case fd == sys.FailfsRoot:
		if e := c.mayEnterFailfs(); e != 0 {
			return Errno(e)
		}
		return NewRoot(c)
	}
	// The errors of fchdir(2) come first, in its order.
	if r := Fchdir(c); r.Errno != 0 {
		return r
	}
	if c.lacksCap(unix.CAP_SYS_CHROOT) {
		i, e := c.openPath(c.Target.FD(fd))
		if e != 0 {
			return Continue // EBADF
		}
		defer c.close(i)
		if i.isDir() { // else ENOTDIR
			return Errno(unix.EPERM)
		}
	}
	return NewRoot(c)
}

// mayEnterFailfs decides whether the caller may make the root of failfs its root directory.
//
// Documentation/filesystems/failfs.rst of Linux: without CAP_SYS_CHROOT, a caller may if
// no_new_privs is set, if it does not share its fs_struct (EINVAL), and if it is not chrooted.
// Threads share it; whether other processes do, and whether the caller is chrooted, cannot be
// seen from outside. So the caller may if its process has one thread, and if no task of the
// container has changed its root directory.
func (c *Call) mayEnterFailfs() unix.Errno {
	if !c.lacksCap(unix.CAP_SYS_CHROOT) {
		return 0
	}
	if noNewPrivs, _ := c.Target.Restrained(); !noNewPrivs {
		return unix.EPERM
	}
	if threads, e := c.Target.Threads(c.PID); e != 0 || len(threads) != 1 {
		return unix.EINVAL
	}
	if c.Roots.MayDiffer() {
		return unix.EPERM
	}
	return 0
}

// PivotRoot handles pivot_root(new_root, put_old).
func PivotRoot(c *Call) Result {
	if c.lacksCap(unix.CAP_SYS_ADMIN) {
		return Errno(unix.EPERM)
	}
	return NewRoot(c)
}
