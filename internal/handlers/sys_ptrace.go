package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
)

// The calls that look into another process, or trace it. They all check what ptrace(2)
// calls PTRACE_MODE_REALCREDS, and fail with EPERM. The kernel, for which all tasks of
// the container have one user id, checks the rest.

// mayTrace reports whether the caller may trace the thread that the supervisor calls target;
// also if there is none, which the kernel will find. The caller has no CAP_SYS_PTRACE.
func (c *Call) mayTrace(target uint32) bool {
	// ptrace(2): "If the calling thread and the target thread are in the same thread group,
	// access is always allowed."
	if c.Target.SameProcess(c.PID, target) {
		return true
	}
	s, e := c.Identities.Get(target)
	// "Deny access if the target process "dumpable" attribute has a value other than 1 [...],
	// and the caller does not have the CAP_SYS_PTRACE capability".
	return e != 0 || !s.Undumpable && cred.MayPtrace(c.identity().Credentials, s.Credentials, false)
}

// mayLookInto decides whether the caller may read what a file of procfs says of a task: 0 or
// EACCES. It is for files that the
// kernel guards by PTRACE_MODE_READ_FSCREDS of ptrace(2).
func (c *Call) mayInspect(i *inode) unix.Errno {
	target, e := c.taskOf(i)
	if e != 0 || c.Target.SameProcess(c.PID, target) {
		return 0
	}
	s, e := c.Identities.Get(target)
	if e != 0 || c.subject().Capable(unix.CAP_SYS_PTRACE) || !s.Undumpable && cred.MayPtrace(*c.subject(), s.Credentials, true) {
		return 0
	}
	return unix.EACCES
}

// refusesTrace reports whether the caller is to be refused the thread that it calls pid.
func (c *Call) mayNotTrace(pid int32) bool {
	target, e := c.Target.HostPID(pid)
	return e == 0 && !c.mayTrace(target)
}

// Ptrace handles ptrace(request, pid, addr, data) for PTRACE_ATTACH and PTRACE_SEIZE.
func Ptrace(c *Call) Result {
	if !c.lacksCap(unix.CAP_SYS_PTRACE) {
		return Continue
	}
	// "PTRACE_SEIZE [...] addr must be zero. data contains a bit mask of ptrace options":
	// else EIO.
	if c.uint32(0) == unix.PTRACE_SEIZE && (c.addr(2) != 0 || c.Data.Args[3]&^unix.PTRACE_O_MASK != 0) {
		return Continue
	}
	if c.mayNotTrace(c.int32(1)) {
		return Errno(unix.EPERM)
	}
	return Continue
}

// maxVectors is IOV_MAX.
const maxVectors = 1024

// ProcessVM handles process_vm_readv(pid, local_iov, liovcnt, remote_iov, riovcnt, flags),
// and process_vm_writev.
func ProcessVM(c *Call) Result {
	local, remote := c.Data.Args[2], c.Data.Args[4]
	switch {
	case !c.lacksCap(unix.CAP_SYS_PTRACE),
		c.Data.Args[5] != 0 || local > maxVectors || remote > maxVectors, // EINVAL
		local == 0 || remote == 0,          // nothing to do
		c.badPointer(1) || c.badPointer(3): // EFAULT
		return Continue
	}
	if c.mayNotTrace(c.int32(0)) {
		return Errno(unix.EPERM)
	}
	return Continue
}

// Kcmp handles kcmp(pid1, pid2, type, idx1, idx2).
func Kcmp(c *Call) Result {
	if !c.lacksCap(unix.CAP_SYS_PTRACE) {
		return Continue
	}
	first, e := c.Target.HostPID(c.int32(0))
	second, e2 := c.Target.HostPID(c.int32(1))
	if e != 0 || e2 != 0 || !c.Target.Exists(first) || !c.Target.Exists(second) {
		return Continue // ESRCH
	}
	if !c.mayTrace(first) || !c.mayTrace(second) {
		return Errno(unix.EPERM)
	}
	return Continue
}

// PidfdGetfd handles pidfd_getfd(pidfd, targetfd, flags).
func PidfdGetfd(c *Call) Result {
	if c.uint32(2) != 0 || !c.lacksCap(unix.CAP_SYS_PTRACE) {
		return Continue // EINVAL
	}
	target, e := c.Target.PidfdPID(c.int32(0))
	if e == 0 && !c.mayTrace(target) {
		return Errno(unix.EPERM)
	}
	return Continue
}
