package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/identity"
	"github.com/rootless-containers/subuidless/internal/sys"
	"github.com/rootless-containers/subuidless/internal/target"
)

// Calls that change how tasks are scheduled. For the caller itself, and for tasks with the
// same identity, the kernel decides: there the caller has the rights of the container's
// user on the host, whatever its emulated ids are.

// mayScheduleAll reports whether the caller may change the scheduling of every task.
func (c *Call) mayScheduleAll() bool {
	return !c.Identities.InUse() || c.identity().CapableInContainer(unix.CAP_SYS_NICE)
}

// SchedSetscheduler handles sched_setscheduler(pid, policy, param).
func SchedSetscheduler(c *Call) Result {
	// EINVAL: policy 4 is reserved, SCHED_DEADLINE (6) needs sched_setattr(2), and there
	// are none above SCHED_EXT (7).
	policy := c.uint32(1) &^ unix.SCHED_RESET_ON_FORK
	if policy == 4 || policy == 6 || policy > 7 {
		return Continue // EINVAL
	}
	return c.schedule(2, 4)
}

// SchedSetparam handles sched_setparam(pid, param).
func SchedSetparam(c *Call) Result { return c.schedule(1, 4) }

// SchedSetattr handles sched_setattr(pid, attr, flags).
func SchedSetattr(c *Call) Result {
	if c.uint32(2) != 0 {
		return Continue // EINVAL
	}
	return c.schedule(1, schedAttrSize)
}

// schedAttrSize is the smallest size of struct sched_attr, SCHED_ATTR_SIZE_VER0 of
// <linux/sched/types.h>.
const schedAttrSize = 48

// SchedSetaffinity handles sched_setaffinity(pid, cpusetsize, mask).
func SchedSetaffinity(c *Call) Result { return c.schedule(2, int(min(c.Data.Args[1], 1))) }

// schedule handles a call about the thread in argument 0. Argument i is the address of size
// bytes that the kernel reads: otherwise EINVAL or EFAULT.
func (c *Call) schedule(i, size int) Result {
	pid := c.int32(0)
	if pid <= 0 || c.mayScheduleAll() {
		return Continue
	}
	var b [64]byte
	if n, e := c.Target.Read(c.addr(i), b[:size]); e != 0 || n < size {
		return Continue
	}
	if !c.ruleAllows(pid, cred.MaySchedule) {
		return Errno(unix.EPERM)
	}
	return Continue
}

// taskRule is a rule of package cred: it reports whether sender may change target.
type taskRule func(sender, target cred.Credentials) bool

// ruleAllows reports whether rule allows the caller to change the thread that it calls pid.
// It is true if there is none: the kernel finds that error.
func (c *Call) ruleAllows(pid int32, rule taskRule) bool {
	target, e := c.Target.HostPID(pid)
	if e != 0 {
		return true
	}
	s, e := c.Identities.Get(target)
	return e == unix.ESRCH || e == 0 && rule(c.identity().Credentials, s.Credentials)
}

// Values of "which" of setpriority(2); those of ioprio_set(2) start at 1.
const (
	whoProcess = iota
	whoGroup
	whoUser
)

// Setpriority handles setpriority(which, who, prio).
func Setpriority(c *Call) Result {
	return c.prioritize(c.uint32(0), cred.MaySchedule, unix.SYS_SETPRIORITY)
}

// IoprioSet handles ioprio_set(which, who, ioprio).
func IoprioSet(c *Call) Result {
	return c.prioritize(c.uint32(0)-1, cred.MaySetIOPriority, unix.SYS_IOPRIO_SET)
}

// prioritize handles a call that changes a priority of the tasks that arguments 0 and 1
// select; kind is argument 0 as in setpriority(2).
func (c *Call) prioritize(kind uint32, rule taskRule, nr uintptr) Result {
	if !c.Identities.InUse() || kind > whoUser {
		return Continue
	}
	who := c.int32(1)
	switch {
	case kind == whoUser:
		uid, e := c.givenUID(c.uint32(1))
		switch {
		case e != 0:
			return Errno(e)
		case c.uint32(1) == 0:
			uid = c.identity().UID.Real
		}
		return c.prioritizeAll(rule, nr, func(_ uint32, s *identity.State) bool { return s.UID.Real == uid })
	case c.mayScheduleAll() || kind == whoProcess && who == 0:
		return Continue
	case kind == whoProcess:
		if !c.ruleAllows(who, rule) {
			return Errno(unix.EPERM)
		}
		return Continue
	}
	var group uint32
	var e unix.Errno
	if who == 0 {
		group, _, e = target.GroupOf(c.PID)
	} else {
		group, e = c.Target.HostGroup(who)
	}
	if e != 0 {
		return Continue // ESRCH
	}
	return c.prioritizeAll(rule, nr, func(pid uint32, _ *identity.State) bool {
		g, _, e := target.GroupOf(pid)
		return e == 0 && g == group
	})
}

// prioritizeAll changes the priority of all threads for which match is true, one by one. It
// handles users, because the kernel sees a single user, and process groups, whose processes
// may belong to several users.
//
// setpriority(2): "ESRCH No process was located using the which and who values".
func (c *Call) prioritizeAll(rule taskRule, nr uintptr, match func(pid uint32, s *identity.State) bool) Result {
	processes, e := c.Target.Processes()
	if e != 0 {
		return Errno(e)
	}
	result := unix.ESRCH
	for _, pid := range processes {
		if seen, e := c.Target.SeenPID(pid); e != 0 || seen == 0 {
			continue
		}
		threads, e := c.Target.Threads(pid)
		if e != 0 {
			continue
		}
		for _, tid := range threads {
			s, e := c.Identities.Get(tid)
			if e != 0 || !match(pid, &s) {
				continue
			}
			e = unix.EPERM
			if rule(c.identity().Credentials, s.Credentials) {
				e = c.setPriority(nr, tid)
			}
			if e != 0 || result == unix.ESRCH {
				result = e
			}
		}
	}
	return Errno(result)
}

// setPriority executes the call nr, setpriority(2) or ioprio_set(2), for one thread.
func (c *Call) setPriority(nr uintptr, tid uint32) unix.Errno {
	if nr == unix.SYS_IOPRIO_SET {
		return sys.IoprioSet(ioprioWhoProcess, tid, c.int32(2))
	}
	return sys.Setpriority(unix.PRIO_PROCESS, tid, c.int32(2))
}

// ioprioWhoProcess is IOPRIO_WHO_PROCESS of <linux/ioprio.h>.
const ioprioWhoProcess = 1
