package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/identity"
)

// Calls that inspect or trace another process. Each checks PTRACE_MODE_REALCREDS of
// ptrace(2), and fails with EPERM. The kernel, which sees a single user, checks the rest.

// mayTrace reports whether the caller may trace the thread that the supervisor calls target. It
// is true if there is none: the kernel finds that error.
func (c *Call) mayTrace(target uint32) bool {
	// ptrace(2): "If the calling thread and the target thread are in the same thread group,
	// access is always allowed."
	if c.Target.SameProcess(c.PID, target) {
		return true
	}
	s, e := c.Identities.Get(target)
	// "Deny access if the target process "dumpable" attribute has a value other than 1 [...],
	// and the caller does not have the CAP_SYS_PTRACE capability".
	caller := &c.identity().Credentials
	return e != 0 || mayDump(caller, &s) && cred.MayPtrace(*caller, s.Credentials, false)
}

// mayInspect checks whether the caller may read a file of procfs that
// PTRACE_MODE_READ_FSCREDS of ptrace(2) guards. The error is EACCES.
func (c *Call) mayInspect(i *inode) unix.Errno {
	target, e := c.taskOf(i)
	if e != 0 {
		return 0
	}
	return c.mayInspectTask(target)
}

// mayInspectTask is mayInspect for the thread that the supervisor calls target.
func (c *Call) mayInspectTask(target uint32) unix.Errno {
	if c.Target.SameProcess(c.PID, target) {
		return 0
	}
	s, e := c.Identities.Get(target)
	if e != 0 || mayDump(c.subject(), &s) && cred.MayPtrace(*c.subject(), s.Credentials, true) {
		return 0
	}
	return unix.EACCES
}

// mayDump reports whether the dumpable attribute of a target with the state s lets the caller
// inspect it. In __ptrace_may_access of kernel/ptrace.c: the capability must count in the user
// namespace of the target's memory.
func mayDump(caller *cred.Credentials, s *identity.State) bool {
	return !s.Undumpable || caller.CapableIn(s.Program, unix.CAP_SYS_PTRACE)
}

// mayNotTrace reports whether the caller may not trace the thread that it calls pid.
func (c *Call) mayNotTrace(pid int32) bool {
	target, e := c.Target.HostPID(pid)
	return e == 0 && !c.mayTrace(target)
}

// Ptrace handles ptrace(request, pid, addr, data) for PTRACE_ATTACH and PTRACE_SEIZE.
func Ptrace(c *Call) Result {
	if !c.lacksCapInContainer(unix.CAP_SYS_PTRACE) {
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

// ProcessVM handles process_vm_readv(pid, local_iov, liovcnt, remote_iov, riovcnt, flags)
// and process_vm_writev.
func ProcessVM(c *Call) Result {
	local, remote := c.Data.Args[2], c.Data.Args[4]
	switch {
	case !c.lacksCapInContainer(unix.CAP_SYS_PTRACE),
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
	if !c.lacksCapInContainer(unix.CAP_SYS_PTRACE) {
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

// GetRobustList handles get_robust_list(pid, head_ptr, len_ptr).
func GetRobustList(c *Call) Result { return c.inspectProcess(c.int32(0)) }

// MigratePages handles migrate_pages(pid, maxnode, old_nodes, new_nodes).
func MigratePages(c *Call) Result {
	if c.Data.Args[1] > 1 && (c.badPointer(2) || c.badPointer(3)) { // EFAULT
		return Continue
	}
	return c.inspectProcess(c.int32(0))
}

// moveFlags are the flags of move_pages(2): MPOL_MF_MOVE and MPOL_MF_MOVE_ALL of
// <linux/mempolicy.h>.
const moveFlags = 2 | 4

// MovePages handles move_pages(pid, count, pages, nodes, status, flags).
func MovePages(c *Call) Result {
	if c.uint32(5)&^moveFlags != 0 { // EINVAL
		return Continue
	}
	return c.inspectProcess(c.int32(0))
}

// inspectProcess lets the kernel execute a call that concerns the process pid, or the caller
// if it is 0, if the caller may trace that process.
func (c *Call) inspectProcess(pid int32) Result {
	if pid != 0 && c.lacksCap(unix.CAP_SYS_PTRACE) && c.mayNotTrace(pid) {
		return Errno(unix.EPERM)
	}
	return Continue
}

// PidfdGetfd handles pidfd_getfd(pidfd, targetfd, flags).
func PidfdGetfd(c *Call) Result {
	if c.uint32(2) != 0 || !c.lacksCapInContainer(unix.CAP_SYS_PTRACE) {
		return Continue // EINVAL
	}
	target, e := c.Target.PidfdPID(c.int32(0))
	if e == 0 && !c.mayTrace(target) {
		return Errno(unix.EPERM)
	}
	return Continue
}
