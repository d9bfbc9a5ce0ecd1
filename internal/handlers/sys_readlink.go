package handlers

import (
	"golang.org/x/sys/unix"
)

// Readlink handles readlink(path, buf, size).
func Readlink(c *Call) Result { return c.readlink(byLink, 2) }

// Readlinkat handles readlinkat(dirfd, path, buf, size).
//
// "Since Linux 2.6.39, pathname can be an empty string, in which case the call operates on the
// symbolic link referred to by dirfd".
func Readlinkat(c *Call) Result {
	return c.readlink(object{dirfd: c.int32(0), path: 1, flags: unix.AT_SYMLINK_NOFOLLOW | unix.AT_EMPTY_PATH}, 3)
}

func (c *Call) readlink(o object, size int) Result {
	if c.int32(size) <= 0 || !c.Restricted() && !c.lacksCapInContainer(unix.CAP_SYS_PTRACE) { // EINVAL
		return Continue
	}
	if !c.Restricted() {
		if p, e := c.pathOf(o); e != 0 || !c.mayLeadToOther(&p) {
			return Continue
		}
	}
	i, e := c.openObject(o)
	if e == 0 {
		// All links in /proc/PID are magic links, which lead right to an object that the
		// task has open.
		if i.kind() == unix.S_IFLNK && i.isProc() {
			e = c.mayInspect(i)
		}
		c.close(i)
	}
	return continueUnlessDenied(e)
}
