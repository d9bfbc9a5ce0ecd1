package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
)

// Getgroups handles getgroups(size, list). The kernel's list is never right: it has the
// overflow id for each group that is not mapped.
func Getgroups(c *Call) Result {
	groups := c.shownGroups(c.identity().Groups)
	if e := c.fitsGroups(len(groups)); e != 0 {
		return Errno(e)
	}
	if c.int32(0) != 0 {
		if e := c.write(c.addr(1), bytesOf(groups)); e != 0 {
			return Errno(e)
		}
	}
	return Return(len(groups))
}

// Getgroups16 handles getgroups of i386, which has 16-bit ids.
func Getgroups16(c *Call) Result {
	groups := c.shownGroups(c.identity().Groups)
	if e := c.fitsGroups(len(groups)); e != 0 {
		return Errno(e)
	}
	if c.int32(0) != 0 {
		list := make([]uint16, len(groups))
		for i, gid := range groups {
			list[i] = narrow(gid)
		}
		if e := c.write(c.addr(1), bytesOf(list)); e != 0 {
			return Errno(e)
		}
	}
	return Return(len(groups))
}

// shownGroups translates a list of group ids to what the caller sees.
func (c *Call) shownGroups(groups []uint32) []uint32 {
	n := c.namespace()
	if n == nil {
		return groups
	}
	list := make([]uint32, len(groups))
	for i, gid := range groups {
		list[i] = n.ShownGID(gid)
	}
	return list
}

// fitsGroups checks argument 0, the size of a list, for n groups.
//
// getgroups(2): "EINVAL size is less than the number of supplementary group IDs, but is not
// zero."
func (c *Call) fitsGroups(n int) unix.Errno {
	if size := c.int32(0); size < 0 || size != 0 && int(size) < n {
		return unix.EINVAL
	}
	return 0
}

// Setgroups handles setgroups(size, list).
func Setgroups(c *Call) Result {
	size, e := c.maySetgroups()
	if e != 0 {
		return Errno(e)
	}
	list := make([]uint32, size)
	n, e := c.Target.Read(c.addr(1), bytesOf(list))
	if e != 0 {
		n = 0
	}
	return c.setgroups(list, n/4)
}

// Setgroups16 handles setgroups of i386, which has 16-bit ids.
func Setgroups16(c *Call) Result {
	size, e := c.maySetgroups()
	if e != 0 {
		return Errno(e)
	}
	list16 := make([]uint16, size)
	n, e := c.Target.Read(c.addr(1), bytesOf(list16))
	if e != 0 {
		n = 0
	}
	list := make([]uint32, size)
	for i, gid := range list16 {
		list[i] = high32(uint32(gid))
	}
	return c.setgroups(list, n/2)
}

// maySetgroups returns argument 0, the length of a list of groups: "EPERM The calling
// process has insufficient privilege", and only then "EINVAL size is greater than
// NGROUPS_MAX", setgroups(2).
func (c *Call) maySetgroups() (uint32, unix.Errno) {
	if !c.identity().MaySetgroups() {
		return 0, unix.EPERM
	}
	if c.uint32(0) > cred.MaxGroups {
		return 0, unix.EINVAL
	}
	return c.uint32(0), 0
}

// setgroups sets the caller's groups to list, whose first n elements could be read.
func (c *Call) setgroups(list []uint32, n int) Result {
	// The kernel converts one id after another, and stops at the first error.
	for i := range list[:n] {
		gid, e := c.givenGID(list[i])
		if e != 0 {
			return Errno(e)
		}
		list[i] = gid
	}
	to, e := c.identity().Setgroups(list[:n])
	if e == 0 && n < len(list) {
		e = unix.EFAULT
	}
	return c.setCredentials(to, e)
}
