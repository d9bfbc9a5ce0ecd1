package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
)

// Setuid handles setuid(uid).
func Setuid(c *Call) Result { return c.setuid(c.uint32(0)) }

// Setgid handles setgid(gid).
func Setgid(c *Call) Result { return c.setgid(c.uint32(0)) }

// Setreuid handles setreuid(ruid, euid).
func Setreuid(c *Call) Result { return c.setreuid(c.uint32(0), c.uint32(1)) }

// Setregid handles setregid(rgid, egid).
func Setregid(c *Call) Result { return c.setregid(c.uint32(0), c.uint32(1)) }

// Setresuid handles setresuid(ruid, euid, suid).
func Setresuid(c *Call) Result { return c.setresuid(c.uint32(0), c.uint32(1), c.uint32(2)) }

// Setresgid handles setresgid(rgid, egid, sgid).
func Setresgid(c *Call) Result { return c.setresgid(c.uint32(0), c.uint32(1), c.uint32(2)) }

// Setfsuid handles setfsuid(fsuid).
func Setfsuid(c *Call) Result { return c.setfsuid(c.uint32(0)) }

// Setfsgid handles setfsgid(fsgid).
func Setfsgid(c *Call) Result { return c.setfsgid(c.uint32(0)) }

// Setuid16 handles the setuid of i386, which has a 16-bit id.
func Setuid16(c *Call) Result { return c.setuid(c.id16(0)) }

// Setgid16 handles the setgid of i386, which has a 16-bit id.
func Setgid16(c *Call) Result { return c.setgid(c.id16(0)) }

// Setreuid16 handles the setreuid of i386, which has 16-bit ids.
func Setreuid16(c *Call) Result { return c.setreuid(c.id16(0), c.id16(1)) }

// Setregid16 handles the setregid of i386, which has 16-bit ids.
func Setregid16(c *Call) Result { return c.setregid(c.id16(0), c.id16(1)) }

// Setresuid16 handles the setresuid of i386, which has 16-bit ids.
func Setresuid16(c *Call) Result { return c.setresuid(c.id16(0), c.id16(1), c.id16(2)) }

// Setresgid16 handles the setresgid of i386, which has 16-bit ids.
func Setresgid16(c *Call) Result { return c.setresgid(c.id16(0), c.id16(1), c.id16(2)) }

// Setfsuid16 handles the setfsuid of i386, which has a 16-bit id.
func Setfsuid16(c *Call) Result { return c.setfsuid(c.id16(0)) }

// Setfsgid16 handles the setfsgid of i386, which has a 16-bit id.
func Setfsgid16(c *Call) Result { return c.setfsgid(c.id16(0)) }

func (c *Call) setuid(id uint32) Result {
	id, e := c.givenUID(id)
	if e != 0 {
		return Errno(e)
	}
	return c.setCredentials(c.identity().Setuid(id))
}

func (c *Call) setgid(id uint32) Result {
	id, e := c.givenGID(id)
	if e != 0 {
		return Errno(e)
	}
	return c.setCredentials(c.identity().Setgid(id))
}

func (c *Call) setreuid(ruid, euid uint32) Result {
	ruid, e := c.givenUID(ruid)
	euid, e2 := c.givenUID(euid)
	if e != 0 || e2 != 0 {
		return Errno(unix.EINVAL)
	}
	return c.setCredentials(c.identity().Setreuid(ruid, euid))
}

func (c *Call) setregid(rgid, egid uint32) Result {
	rgid, e := c.givenGID(rgid)
	egid, e2 := c.givenGID(egid)
	if e != 0 || e2 != 0 {
		return Errno(unix.EINVAL)
	}
	return c.setCredentials(c.identity().Setregid(rgid, egid))
}

func (c *Call) setresuid(ruid, euid, suid uint32) Result {
	ruid, e := c.givenUID(ruid)
	euid, e2 := c.givenUID(euid)
	suid, e3 := c.givenUID(suid)
	if e != 0 || e2 != 0 || e3 != 0 {
		return Errno(unix.EINVAL)
	}
	return c.setCredentials(c.identity().Setresuid(ruid, euid, suid))
}

func (c *Call) setresgid(rgid, egid, sgid uint32) Result {
	rgid, e := c.givenGID(rgid)
	egid, e2 := c.givenGID(egid)
	sgid, e3 := c.givenGID(sgid)
	if e != 0 || e2 != 0 || e3 != 0 {
		return Errno(unix.EINVAL)
	}
	return c.setCredentials(c.identity().Setresgid(rgid, egid, sgid))
}

// setfsuid never fails: an id that is not mapped changes nothing, as -1.
func (c *Call) setfsuid(id uint32) Result {
	id, _ = c.givenUID(id)
	to, old := c.identity().Setfsuid(id)
	return c.setFSID(to, c.shownUID(old))
}

func (c *Call) setfsgid(id uint32) Result {
	id, _ = c.givenGID(id)
	to, old := c.identity().Setfsgid(id)
	return c.setFSID(to, c.shownGID(old))
}

// setCredentials gives the caller the credentials to, unless e forbids it.
func (c *Call) setCredentials(to cred.Credentials, e unix.Errno) Result {
	s := *c.identity()
	if e != 0 || s.Credentials.Equal(to) {
		return Errno(e)
	}
	if s.Undumps(to) {
		s.SetDumpable(c.Identities.SuidDumpable())
	}
	s.Credentials = to
	return Errno(c.become(&s))
}

// setFSID gives the caller the credentials to, and returns id, its previous one.
//
// setfsuid(2): "On both success and failure, this call returns the previous filesystem user
// ID of the caller."
func (c *Call) setFSID(to cred.Credentials, id uint32) Result {
	if c.resumes() {
		id = *c.Previous // an earlier attempt may have set the new one
	} else {
		*c.Previous = id
		c.note(Intent{})
	}
	_ = c.setCredentials(to, 0)
	return Return(int(id))
}

// id16 returns an argument that is a 16-bit id.
func (c *Call) id16(i int) uint32 { return high32(c.uint32(i) & 0xffff) }

// high32 converts a 16-bit id to 32 bits; 0xffff means -1.
func high32(id uint32) uint32 {
	if id == 0xffff {
		return ^uint32(0)
	}
	return id
}
