package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/perm"
)

// Calls that the kernel executes if the caller may reach the object.

// Reach returns the handler of calls whose first argument is a path, and which need the
// permissions in want to the object: see path_resolution(7).
func Reach(want uint32) Handler {
	return func(c *Call) Result { return c.reach(byPath, want) }
}

// Access handles access(path, mode).
func Access(c *Call) Result { return c.faccess(byPath, c.uint32(1), 0) }

// Faccessat handles the system call faccessat(dirfd, path, mode), which has no flags.
func Faccessat(c *Call) Result {
	return c.faccess(object{dirfd: c.int32(0), path: 1}, c.uint32(2), 0)
}

// Faccessat2 handles faccessat2(dirfd, path, mode, flags).
func Faccessat2(c *Call) Result {
	flags := c.uint32(3)
	o := object{dirfd: c.int32(0), path: 1, flags: flags &^ unix.AT_EACCESS}
	return c.faccess(o, c.uint32(2), flags&unix.AT_EACCESS)
}

func (c *Call) faccess(o object, mode, effective uint32) Result {
	if mode&^(perm.Read|perm.Write|perm.Exec) != 0 || c.NoPermissions || !c.Identities.InUse() {
		return Continue
	}
	if effective == 0 {
		c.accessCredentials, c.asAccess = c.identity().Access(), true
	}
	return c.reach(o, mode)
}
