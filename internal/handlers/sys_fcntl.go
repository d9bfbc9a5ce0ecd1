package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/perm"
)

// Fcntl handles fcntl(fd, F_SETLEASE, arg) and fcntl(fd, F_SETFL, flags).
func Fcntl(c *Call) Result {
	switch c.int32(1) {
	case unix.F_SETLEASE:
		return c.setLease()
	case unix.F_SETFL:
		return c.setFlags()
	}
	return Continue
}

func (c *Call) setLease() Result {
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

// setFlags checks who sets O_NOATIME.
//
// In setfl of fs/fcntl.c: "O_NOATIME can only be set by the owner or superuser". It is not
// checked if the file has the flag already.
func (c *Call) setFlags() Result {
	if c.uint32(2)&unix.O_NOATIME == 0 || c.kernelDecides(1<<unix.CAP_FOWNER) {
		return Continue
	}
	fd, e := c.Target.Dup(c.int32(0))
	if e != 0 {
		return unchecked(e)
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	unix.Close(fd)
	if err != nil || flags&(unix.O_NOATIME|unix.O_PATH) != 0 {
		return Continue
	}
	i, e := c.openFD(c.int32(0))
	if e != 0 {
		return Continue
	}
	defer c.close(i)
	if !i.isAnonymous() && !perm.Owner(c.identity().Credentials, c.visible(i)) {
		return Errno(unix.EPERM)
	}
	return Continue
}
