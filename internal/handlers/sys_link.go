package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// Link handles link(oldpath, newpath).
func Link(c *Call) Result { return c.link(byLink, unix.AT_FDCWD, 1) }

// Linkat handles linkat(olddirfd, oldpath, newdirfd, newpath, flags).
func Linkat(c *Call) Result {
	flags := c.uint32(4)
	if flags&^(unix.AT_SYMLINK_FOLLOW|unix.AT_EMPTY_PATH) != 0 {
		return c.refuseUnknown(unix.EINVAL)
	}
	o := object{dirfd: c.int32(0), path: 1, flags: flags & unix.AT_EMPTY_PATH}
	if flags&unix.AT_SYMLINK_FOLLOW == 0 {
		o.flags |= unix.AT_SYMLINK_NOFOLLOW
	}
	return c.link(o, c.int32(2), 3)
}

// link handles a call that creates another name for the object o.
func (c *Call) link(o object, dirfd int32, arg int) Result {
	if !c.Restricted() {
		return Continue
	}
	i, e := c.openObject(o)
	if e != 0 {
		return continueUnlessDenied(e)
	}
	defer c.close(i)
	if c.emptyString(arg) {
		return Continue // ENOENT or EFAULT
	}
	parent, name, slash, e := c.openParent(dirfd, arg)
	if e != 0 {
		return continueUnlessDenied(e)
	}
	defer c.close(parent)
	// EEXIST or ENOENT. Removed directories and procfs admit no new names: ENOENT.
	if !isName(name) || slash || statName(parent.fd, name) != unix.ENOENT || parent.stat.Nlink == 0 || parent.isProc() {
		return Continue
	}
	v := c.visible(i)
	e = c.Protected.MayLink(*c.subject(), v, c.mergedACL(i))
	if e == 0 {
		e = c.mayModify(parent)
	}
	if e != 0 && parent.preferEROFS(e) != unix.EROFS && sys.MountID(i.fd) != sys.MountID(parent.fd) {
		return Continue // EXDEV
	}
	return continueOrDeny(parent, e)
}
