package handlers

import (
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

// id16 returns an argument that is a 16-bit id.
func (c *Call) id16(i int) uint32 { return high32(c.uint32(i) & 0xffff) }

// high32 returns a 16-bit id as one of 32 bits. 0xffff means -1.
func high32(id uint32) uint32 {
	if id == 0xffff {
		return ^uint32(0)
	}
	return id
}
