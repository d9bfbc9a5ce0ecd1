package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/perm"
)

// Fcntl handles fcntl(fd, F_SETLEASE, arg).
func Fcntl(c *Call) Result {
	if !c.Identities.InUse() || c.Data.Args[2] > unix.F_UNLCK { // EINVAL
		return Continue
	}
	i, e := c.openFD(c.int32(0))
	if e != 0 {
		return Continue // EBADF
	}
	defer c.close(i)
	// The owner of a pipe or a socket is not known, but these have no leases: EINVAL.
	if !i.isAnonymous() && !perm.Lease(c.identity().Credentials, c.visible(i)) {
		return Errno(unix.EACCES)
	}
	return Continue
}
