package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
)

// The kernel's RLIMIT_LOCKS of a task and the timer slack of a thread may encode its
// identity (package identity). The identity holds the values that the program has set.

// rlim64 is struct rlimit64, and struct rlimit where long has 64 bits: soft limit, hard
// limit.
type rlim64 [2]uint64

// rlim32 is struct rlimit of i386.
type rlim32 [2]uint32

const (
	infinity32    = 1<<32 - 1 // RLIM_INFINITY of i386
	oldInfinity32 = 1<<31 - 1 // RLIM_INFINITY of its old getrlimit
)

// Getrlimit handles getrlimit(RLIMIT_LOCKS, rlim).
func Getrlimit(c *Call) Result {
	if !c.Identities.InUse() {
		return Continue
	}
	l := c.identity().Locks
	limits := rlim64{l.Cur, l.Max}
	return Errno(c.write(c.addr(1), bytesOf(limits[:])))
}

// Setrlimit handles setrlimit(RLIMIT_LOCKS, rlim).
func Setrlimit(c *Call) Result {
	var limits rlim64
	if n, e := c.Target.Read(c.addr(1), bytesOf(limits[:])); e != 0 || n < 16 {
		return Errno(unix.EFAULT)
	}
	return Errno(c.setLocks(c.PID, &c.identity().Locks, unix.Rlimit{Cur: limits[0], Max: limits[1]}))
}

// GetrlimitOld handles getrlimit of i386.
func GetrlimitOld(c *Call) Result { return c.getrlimit32(oldInfinity32) }

// Getrlimit32 handles ugetrlimit of i386.
func Getrlimit32(c *Call) Result { return c.getrlimit32(infinity32) }

// getrlimit32 shows limits above infinity as infinity.
func (c *Call) getrlimit32(infinity uint64) Result {
	if !c.Identities.InUse() {
		return Continue
	}
	l := c.identity().Locks
	limits := rlim32{uint32(min(l.Cur, infinity)), uint32(min(l.Max, infinity))}
	return Errno(c.write(c.addr(1), bytesOf(limits[:])))
}

// Setrlimit32 handles setrlimit of i386.
func Setrlimit32(c *Call) Result {
	var limits rlim32
	if n, e := c.Target.Read(c.addr(1), bytesOf(limits[:])); e != 0 || n < 8 {
		return Errno(unix.EFAULT)
	}
	widen := func(v uint32) uint64 {
		if v == infinity32 {
			return unix.RLIM_INFINITY
		}
		return uint64(v)
	}
	return Errno(c.setLocks(c.PID, &c.identity().Locks, unix.Rlimit{Cur: widen(limits[0]), Max: widen(limits[1])}))
}

// Prlimit handles prlimit(pid, resource, new_limit, old_limit) of RLIMIT_LOCKS, or of another
// process.
func Prlimit(c *Call) Result {
	if c.uint32(1) != unix.RLIMIT_LOCKS {
		return c.prlimitOther()
	}
	var limits rlim64
	change := c.addr(2) != 0
	if change {
		if n, e := c.Target.Read(c.addr(2), bytesOf(limits[:])); e != 0 || n < 16 {
			return Errno(unix.EFAULT)
		}
	}
	target, e := c.prlimitTarget(c.int32(0), change)
	if e != 0 {
		return Errno(e)
	}
	if !change && !c.Identities.Own(target) {
		return Continue
	}
	s, e := c.Identities.Get(target)
	if e != 0 {
		return Errno(e)
	}
	old := s.Locks
	if change {
		if e := c.setLocks(target, &old, unix.Rlimit{Cur: limits[0], Max: limits[1]}); e != 0 {
			return Errno(e)
		}
	}
	if c.addr(3) == 0 {
		return Errno(0)
	}
	limits = rlim64{old.Cur, old.Max}
	return Errno(c.write(c.addr(3), bytesOf(limits[:])))
}

// prlimitOther handles prlimit of another resource. The kernel's limit is that of the program.
func (c *Call) prlimitOther() Result {
	if !c.Identities.InUse() {
		return Continue
	}
	if at := c.addr(2); at != 0 {
		var limits rlim64
		if n, e := c.Target.Read(at, bytesOf(limits[:])); e != 0 || n < 16 {
			return Continue // EFAULT
		}
	}
	if _, e := c.prlimitTarget(c.int32(0), false); e == unix.EPERM {
		return Errno(e)
	}
	return Continue // the kernel finds the other errors
}

// prlimitTarget returns the task that the pid argument of prlimit names, if the caller may
// read its limits, and change them if change is true.
func (c *Call) prlimitTarget(pid int32, change bool) (uint32, unix.Errno) {
	if pid == 0 {
		return c.PID, 0
	}
	target, e := c.Target.HostPID(pid)
	if e != 0 {
		return 0, unix.ESRCH
	}
	if target == c.PID {
		return target, 0
	}
	if err := unix.Prlimit(int(target), unix.RLIMIT_LOCKS, nil, nil); err != nil {
		return 0, err.(unix.Errno) // ESRCH; EPERM: another user's, on the host
	}
	s, e := c.Identities.Get(target)
	switch {
	case e != 0:
		return 0, e
	case !cred.MayPrlimit(c.identity().Credentials, s.Credentials):
		return 0, unix.EPERM
	// Limits of tasks outside of the container must not encode identities.
	case change && !c.Identities.Own(target) && !c.Target.InContainer(target):
		return 0, unix.EPERM
	}
	return target, 0
}

// setLocks changes the RLIMIT_LOCKS of the process of tid from old.
func (c *Call) setLocks(tid uint32, old *unix.Rlimit, to unix.Rlimit) unix.Errno {
	switch {
	// prlimit(2): "EINVAL [...] rlim->rlim_cur was greater than rlim->rlim_max."
	case to.Cur > to.Max:
		return unix.EINVAL
	// "EPERM An unprivileged process tried to raise the hard limit; the CAP_SYS_RESOURCE
	// capability is required to do this."
	case to.Max > old.Max && !c.identity().CapableInContainer(unix.CAP_SYS_RESOURCE):
		return unix.EPERM
	case to == *old:
		return 0
	}
	return c.Identities.SetLocks(tid, to)
}
