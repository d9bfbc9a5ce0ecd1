package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// MemfdCreate handles memfd_create(name, flags).
func MemfdCreate(c *Call) Result {
	if c.inRuntime() || c.createsAsRoot() {
		return Continue
	}
	// memfd_create(2): "the limit is 249 bytes, excluding the terminating null byte".
	var name [250]byte
	if _, e := c.Target.ReadString(c.addr(0), name[:]); e != 0 {
		return Continue // EFAULT or EINVAL
	}
	flags := c.uint32(1)
	fd, e := sys.MemfdCreate(&name[0], flags)
	if e != 0 {
		return Errno(e)
	}
	if e := c.Owners.Set(fd, 0, unix.S_IFREG, c.fsIDs()); e != 0 {
		unix.Close(fd)
		return Errno(e)
	}
	return File(fd, flags&unix.MFD_CLOEXEC != 0)
}
