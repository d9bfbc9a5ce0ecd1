package handlers

import "golang.org/x/sys/unix"

// Calls that remove, move and add names: this file, sys_rename.go and sys_link.go. The
// kernel executes them if the caller may. Errors that the kernel checks before permissions
// are left to it.

// Unlink handles unlink(path).
func Unlink(c *Call) Result { return c.remove(unix.AT_FDCWD, 0, false) }

// Unlinkat handles unlinkat(dirfd, path, flags).
func Unlinkat(c *Call) Result {
	flags := c.uint32(2)
	if flags&^unix.AT_REMOVEDIR != 0 {
		return c.refuseUnknown(unix.EINVAL)
	}
	return c.remove(c.int32(0), 1, flags != 0)
}

// Rmdir handles rmdir(path).
func Rmdir(c *Call) Result { return c.remove(unix.AT_FDCWD, 0, true) }

// remove handles a call that removes a name.
func (c *Call) remove(dirfd int32, arg int, directory bool) Result {
	if !c.Restricted() {
		c.forgetPath(dirfd, arg)
		return Continue
	}
	parent, name, slash, e := c.openParent(dirfd, arg)
	if e != 0 {
		return continueUnlessDenied(e)
	}
	defer c.close(parent)
	// EISDIR, ENOTEMPTY, EINVAL or EBUSY; ENOTDIR for a file whose path ends with a slash.
	if !isName(name) || slash && !directory {
		return Continue
	}
	victim := c.openEntry(parent.fd, name)
	defer c.closeEntry(&victim)
	if !victim.exists() {
		return Continue // ENOENT
	}
	if e := c.mayDeleteEntry(parent, &victim); e != 0 {
		return continueOrDeny(parent, e)
	}
	c.forget(victim.inode)
	return Continue
}

// forgetPath makes the sidecar forget what the path in argument arg names, as soon as it is
// gone. The caller is about to remove the name, and may.
func (c *Call) forgetPath(dirfd int32, arg int) {
	if !c.Owners.Forgets() {
		return
	}
	p, e := c.Target.Path(dirfd, c.addr(arg), unix.AT_SYMLINK_NOFOLLOW)
	switch {
	case e != 0:
	case p.ViaProcSelf():
		if i, e := c.openPath(p); e == 0 {
			c.forget(i)
			c.close(i)
		}
	default:
		c.Owners.ForgetPath(p.Ptr)
	}
}

// forget is forgetPath for an inode.
func (c *Call) forget(i *inode) {
	if c.Owners.Forgets() {
		c.Owners.Forget(i.fd)
	}
}
