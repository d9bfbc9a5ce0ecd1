package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// Symlink handles symlink(target, linkpath).
func Symlink(c *Call) Result { return c.symlink(unix.AT_FDCWD, 1) }

// Symlinkat handles symlinkat(target, newdirfd, linkpath).
func Symlinkat(c *Call) Result { return c.symlink(c.int32(1), 2) }

func (c *Call) symlink(dirfd int32, arg int) Result {
	if c.kernelSuffices(dirfd, arg) {
		return Continue
	}
	var target [unix.PathMax]byte
	n, e := c.Target.ReadString(c.addr(0), target[:])
	if e != 0 {
		return Errno(e)
	}
	if n == 0 { // symlink(2): "ENOENT [...] target is the empty string."
		return Errno(unix.ENOENT)
	}
	return c.create(dirfd, arg, unix.S_IFLNK|0o777, func(parent int, name *byte, _ uint32) unix.Errno {
		return sys.Symlinkat(&target[0], parent, name)
	}, owner.Record{})
}
