package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/perm"
)

// Chdir handles chdir(path).
func Chdir(c *Call) Result {
	if !c.Restricted() {
		return Continue
	}
	return c.chdir(c.openObject(byPath))
}

// Fchdir handles fchdir(fd).
func Fchdir(c *Call) Result {
	if !c.Restricted() {
		return Continue
	}
	return c.chdir(c.openPath(c.Target.FD(c.int32(0))))
}

// chdir lets the kernel make the directory i the caller's working directory, unless e or a
// missing permission forbids it. It closes i.
func (c *Call) chdir(i *inode, e unix.Errno) Result {
	if e == 0 {
		// The kernel gives ENOTDIR before EACCES.
		if i.isDir() {
			e = c.permits(i, perm.Exec)
		}
		c.close(i)
	}
	return continueUnlessDenied(e)
}
