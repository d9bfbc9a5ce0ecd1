package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// Mkdir handles mkdir(path, mode).
func Mkdir(c *Call) Result { return c.mkdir(unix.AT_FDCWD, 0) }

// Mkdirat handles mkdirat(dirfd, path, mode).
func Mkdirat(c *Call) Result { return c.mkdir(c.int32(0), 1) }

func (c *Call) mkdir(dirfd int32, arg int) Result {
	mode := c.uint32(arg+1)&0o7777 | unix.S_IFDIR
	return c.create(dirfd, arg, mode, func(parent int, name *byte, mode uint32) unix.Errno {
		return sys.Mkdirat(parent, name, mode)
	}, owner.Record{})
}
