package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
)

// capSets returns how many structures capget(2) and capset(2) have for a version of their
// header: "the kernel interface supports only 32-bit capabilities" in version 1.
func capSets(version uint32) (n int, ok bool) {
	switch version {
	case unix.LINUX_CAPABILITY_VERSION_1:
		return 1, true
	case unix.LINUX_CAPABILITY_VERSION_2, unix.LINUX_CAPABILITY_VERSION_3:
		return 2, true
	}
	return 0, false
}

// capHeader reads the version from the header at argument 0.
//
// capset(2): "The calls fail with the error EINVAL, and set the version field of hdrp to
// the kernel preferred value of _LINUX_CAPABILITY_VERSION_? when an unsupported version
// value is specified."
func (c *Call) capHeader() (sets int, e unix.Errno) {
	var version [1]uint32
	if n, e := c.Target.Read(c.addr(0), bytesOf(version[:])); e != 0 || n < 4 {
		return 0, unix.EFAULT
	}
	sets, ok := capSets(version[0])
	if !ok {
		version[0] = unix.LINUX_CAPABILITY_VERSION_3
		if e := c.write(c.addr(0), bytesOf(version[:])); e != 0 {
			return 0, e
		}
		return 0, unix.EINVAL
	}
	return sets, 0
}

// capPID reads the pid of the header.
func (c *Call) capPID() (int32, unix.Errno) {
	var pid [1]uint32
	if n, e := c.Target.Read(c.addr(0)+4, bytesOf(pid[:])); e != 0 || n < 4 {
		return 0, unix.EFAULT
	}
	return int32(pid[0]), 0
}

// capData is two of struct __user_cap_data_struct: effective, permitted and inheritable,
// first the low halves, then the high ones.
type capData [6]uint32

// Capget handles capget(hdrp, datap).
func Capget(c *Call) Result {
	if !c.Identities.InUse() {
		return Continue // all tasks have what the kernel shows
	}
	sets, e := c.capHeader()
	if c.addr(1) == 0 {
		// capset(2): "to determine the preferred version [...] datap may be NULL".
		if e == unix.EINVAL {
			e = 0
		}
		return Errno(e)
	}
	if e != 0 {
		return Errno(e)
	}
	pid, e := c.capPID()
	if e != 0 {
		return Errno(e)
	}
	if pid < 0 {
		return Errno(unix.EINVAL)
	}
	s := *c.identity()
	if pid != 0 {
		host, e := c.Target.HostPID(pid)
		if e != 0 {
			return Errno(unix.ESRCH)
		}
		if host != c.PID {
			// The kernel's answer is right for a task that has never changed its identity,
			// and for tasks outside of the container.
			if !c.Identities.Own(host) {
				return Continue
			}
			if s, e = c.Identities.Get(host); e != 0 {
				return Errno(e)
			}
		}
	}
	data := capData{
		uint32(s.Effective), uint32(s.Permitted), uint32(s.Inheritable),
		uint32(s.Effective >> 32), uint32(s.Permitted >> 32), uint32(s.Inheritable >> 32),
	}
	return Errno(c.write(c.addr(1), bytesOf(data[:3*sets])))
}

// Capset handles capset(hdrp, datap).
func Capset(c *Call) Result {
	if c.inRuntime() {
		return Continue // identity.Table.Begin reads what the runtime has set
	}
	sets, e := c.capHeader()
	if e != 0 {
		return Errno(e)
	}
	pid, e := c.capPID()
	if e != 0 {
		return Errno(e)
	}
	// "EPERM An attempt was made to [...] change the capabilities of another process".
	if pid != 0 {
		host, e := c.Target.HostPID(pid)
		if e != 0 || host != c.PID {
			return Errno(unix.EPERM)
		}
	}
	var data capData
	n, e := c.Target.Read(c.addr(1), bytesOf(data[:3*sets]))
	if e != 0 || n < 12*sets {
		return Errno(unix.EFAULT)
	}
	set := func(i int) cred.Caps { return cred.Caps(data[i]) | cred.Caps(data[3+i])<<32 }
	return c.setCredentials(c.identity().Capset(set(0), set(1), set(2)))
}
