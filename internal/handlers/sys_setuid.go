package handlers

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
)

// Setuid answers setuid(uid).
func Setuid(c *Call) Result { return c.assume(c.identity().Setuid(c.uint32(0))) }

// Setgid answers setgid(gid).
func Setgid(c *Call) Result { return c.assume(c.identity().Setgid(c.uint32(0))) }

// Setreuid answers setreuid(ruid, euid).
func Setreuid(c *Call) Result { return c.assume(c.identity().Setreuid(c.uint32(0), c.uint32(1))) }

// Setregid answers setregid(rgid, egid).
func Setregid(c *Call) Result { return c.assume(c.identity().Setregid(c.uint32(0), c.uint32(1))) }

// Setresuid answers setresuid(ruid, euid, suid).
func Setresuid(c *Call) Result {
	return c.assume(c.identity().Setresuid(c.uint32(0), c.uint32(1), c.uint32(2)))
}

// Setresgid answers setresgid(rgid, egid, sgid).
func Setresgid(c *Call) Result {
	return c.assume(c.identity().Setresgid(c.uint32(0), c.uint32(1), c.uint32(2)))
}

// Setfsuid answers setfsuid(fsuid).
func Setfsuid(c *Call) Result { return c.previous(c.identity().Setfsuid(c.uint32(0))) }

// Setfsgid answers setfsgid(fsgid).
func Setfsgid(c *Call) Result { return c.previous(c.identity().Setfsgid(c.uint32(0))) }

// Setuid16 answers the setuid of i386, which has a 16-bit id.
func Setuid16(c *Call) Result { return c.assume(c.identity().Setuid(c.id16(0))) }

// Setgid16 answers the setgid of i386, which has a 16-bit id.
func Setgid16(c *Call) Result { return c.assume(c.identity().Setgid(c.id16(0))) }

// Setreuid16 answers the setreuid of i386, which has 16-bit ids.
func Setreuid16(c *Call) Result { return c.assume(c.identity().Setreuid(c.id16(0), c.id16(1))) }

// Setregid16 answers the setregid of i386, which has 16-bit ids.
func Setregid16(c *Call) Result { return c.assume(c.identity().Setregid(c.id16(0), c.id16(1))) }

// Setresuid16 answers the setresuid of i386, which has 16-bit ids.
func Setresuid16(c *Call) Result {
	return c.assume(c.identity().Setresuid(c.id16(0), c.id16(1), c.id16(2)))
}

// Setresgid16 answers the setresgid of i386, which has 16-bit ids.
func Setresgid16(c *Call) Result {
	return c.assume(c.identity().Setresgid(c.id16(0), c.id16(1), c.id16(2)))
}

// Setfsuid16 answers the setfsuid of i386, which has a 16-bit id.
func Setfsuid16(c *Call) Result { return c.previous(c.identity().Setfsuid(c.id16(0))) }

// Setfsgid16 answers the setfsgid of i386, which has a 16-bit id.
func Setfsgid16(c *Call) Result { return c.previous(c.identity().Setfsgid(c.id16(0))) }

// assume gives the caller the credentials to, unless e says that it may not have them.
func (c *Call) assume(to cred.Credentials, e unix.Errno) Result {
	s := *c.identity()
	if e != 0 || s.Credentials.Equal(to) {
		return Errno(e)
	}
	s.Undumpable = s.Undumpable || s.Undumps(to)
	s.Credentials = to
	return Errno(c.become(&s))
}

// previous gives the caller the credentials to, and returns the id that it had.
//
// setfsuid(2): "On both success and failure, this call returns the previous
// filesystem user ID of the caller."
func (c *Call) previous(to cred.Credentials, id uint32) Result {
	if c.Again && c.Intent.ID == c.ID {
		id = *c.Previous // now the caller may have the new one
	} else {
		*c.Previous = id
		*c.Intent = Intent{ID: c.ID}
	}
	_ = c.assume(to, 0)
	return Return(int(id))
}

// Getuid answers getuid().
func Getuid(c *Call) Result { return c.show(c.identity().UID.Real) }

// Geteuid answers geteuid().
func Geteuid(c *Call) Result { return c.show(c.identity().UID.Effective) }

// Getgid answers getgid().
func Getgid(c *Call) Result { return c.show(c.identity().GID.Real) }

// Getegid answers getegid().
func Getegid(c *Call) Result { return c.show(c.identity().GID.Effective) }

// Getresuid answers getresuid(ruid, euid, suid).
func Getresuid(c *Call) Result { return c.showAll(&c.identity().UID) }

// Getresgid answers getresgid(rgid, egid, sgid).
func Getresgid(c *Call) Result { return c.showAll(&c.identity().GID) }

// Getuid16 answers the getuid of i386, which returns a 16-bit id.
func Getuid16(c *Call) Result { return c.show(uint32(narrow(c.identity().UID.Real))) }

// Geteuid16 answers the geteuid of i386, which returns a 16-bit id.
func Geteuid16(c *Call) Result { return c.show(uint32(narrow(c.identity().UID.Effective))) }

// Getgid16 answers the getgid of i386, which returns a 16-bit id.
func Getgid16(c *Call) Result { return c.show(uint32(narrow(c.identity().GID.Real))) }

// Getegid16 answers the getegid of i386, which returns a 16-bit id.
func Getegid16(c *Call) Result { return c.show(uint32(narrow(c.identity().GID.Effective))) }

// Getresuid16 answers the getresuid of i386, which has 16-bit ids.
func Getresuid16(c *Call) Result { return c.showAll16(&c.identity().UID) }

// Getresgid16 answers the getresgid of i386, which has 16-bit ids.
func Getresgid16(c *Call) Result { return c.showAll16(&c.identity().GID) }

// show returns an id of the caller. As long as nobody has changed an id the kernel
// is right, also in a user namespace below.
func (c *Call) show(id uint32) Result {
	if !c.Identities.InUse() {
		return Continue
	}
	return Return(int(id))
}

// showAll writes the real, effective and saved id to where the arguments point, in
// this order up to a pointer that is bad.
func (c *Call) showAll(ids *cred.IDs) Result {
	if !c.Identities.InUse() {
		return Continue
	}
	for i, id := range [...]uint32{ids.Real, ids.Effective, ids.Saved} {
		if e := c.write(c.addr(i), bytesOf([]uint32{id})); e != 0 {
			return Errno(e)
		}
	}
	return Errno(0)
}

// showAll16 is showAll for 16-bit ids.
func (c *Call) showAll16(ids *cred.IDs) Result {
	if !c.Identities.InUse() {
		return Continue
	}
	for i, id := range [...]uint32{ids.Real, ids.Effective, ids.Saved} {
		if e := c.write(c.addr(i), bytesOf([]uint16{narrow(id)})); e != 0 {
			return Errno(e)
		}
	}
	return Errno(0)
}

// Getgroups answers getgroups(size, list). The kernel's own list is never right: it
// has the overflow id for every group that is not mapped.
func Getgroups(c *Call) Result {
	groups := c.identity().Groups
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

// Getgroups16 answers the getgroups of i386, which has 16-bit ids.
func Getgroups16(c *Call) Result {
	groups := c.identity().Groups
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

// fitsGroups checks argument 0, the room for a list of n groups.
//
// getgroups(2): "EINVAL size is less than the number of supplementary group IDs, but
// is not zero."
func (c *Call) fitsGroups(n int) unix.Errno {
	if size := c.int32(0); size < 0 || size != 0 && int(size) < n {
		return unix.EINVAL
	}
	return 0
}

// Setgroups answers setgroups(size, list).
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

// Setgroups16 answers the setgroups of i386, which has 16-bit ids.
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
	if !c.identity().Capable(unix.CAP_SETGID) {
		return 0, unix.EPERM
	}
	if c.uint32(0) > cred.MaxGroups {
		return 0, unix.EINVAL
	}
	return c.uint32(0), 0
}

// setgroups gives the caller the groups of a list, of which the first n could be read.
func (c *Call) setgroups(list []uint32, n int) Result {
	// The kernel takes one id after the other, and stops at what is wrong first.
	to, e := c.identity().Setgroups(list[:n])
	if e == 0 && n < len(list) {
		e = unix.EFAULT
	}
	return c.assume(to, e)
}

// id16 returns an argument that is a 16-bit id.
func (c *Call) id16(i int) uint32 { return high32(c.uint32(i) & 0xffff) }

// high32 returns a 16-bit id as one of 32 bits. 0xffff means -1.
func high32(id uint32) uint32 {
	if id == 0xffff {
		return ^uint32(0)
	}
	return id
}

// bytesOf returns the memory of a list.
func bytesOf[T uint16 | uint32 | uint64](list []T) []byte {
	if len(list) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&list[0])), len(list)*int(unsafe.Sizeof(list[0])))
}
