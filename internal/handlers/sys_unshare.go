package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// newNamespaces are the flags of clone(2) for namespaces other than user namespaces.
// CLONE_NEWTIME is missing, because clone(2) uses its bit for the signal number.
const (
	newNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
		unix.CLONE_NEWPID | unix.CLONE_NEWNET
	newTime = unix.CLONE_NEWTIME

	// Of <linux/sched.h>, since Linux 7.1: a mount namespace with nothing in it. The flag of
	// unshare(2) is another one than that of clone3(2), as clone(2) has used the bit.
	UnshareEmptyMountNS = 0x00100000
	cloneEmptyMountNS   = 1 << 37

	unshareFlags = newNamespaces | newTime | unix.CLONE_NEWUSER | unix.CLONE_FS | unix.CLONE_FILES |
		unix.CLONE_SYSVSEM | unix.CLONE_THREAD | unix.CLONE_SIGHAND | unix.CLONE_VM
)

// isolates reports whether a call with these flags is to be refused, because it creates
// namespaces without the capability for it.
//
// unshare(2): "EPERM The calling process did not have the required privileges for this
// operation." clone(2), CLONE_NEWUSER: "If CLONE_NEWUSER is specified along with other
// CLONE_NEW* flags [...] the user namespace is guaranteed to be created first, giving the
// child [...] privileges over the remaining namespaces".
func (c *Call) isolates(flags uint64) bool {
	return flags&(newNamespaces|newTime) != 0 && flags&unix.CLONE_NEWUSER == 0 && c.lacksCap(unix.CAP_SYS_ADMIN)
}

// cloneable reports whether the kernel accepts this combination of flags; if not, the error
// is EINVAL.
func cloneable(flags uint64) bool {
	return flags&(unix.CLONE_NEWNS|unix.CLONE_FS) != unix.CLONE_NEWNS|unix.CLONE_FS &&
		flags&(unix.CLONE_NEWPID|unix.CLONE_THREAD) != unix.CLONE_NEWPID|unix.CLONE_THREAD &&
		flags&(unix.CLONE_THREAD|unix.CLONE_SIGHAND) != unix.CLONE_THREAD &&
		flags&(unix.CLONE_SIGHAND|unix.CLONE_VM) != unix.CLONE_SIGHAND
}

// Clone handles clone(flags, ...) if it creates namespaces.
func Clone(c *Call) Result { return c.clone(uint64(c.uint32(0)) &^ newTime) }

// Offsets in struct clone_args of <linux/sched.h>, and its size with set_tid.
const (
	cloneSetTID     = 64
	cloneSetTIDSize = 72
	cloneArgsSize   = 80
)

// Clone3 handles clone3(cl_args, size), whose flags the filter cannot see.
func Clone3(c *Call) Result {
	var args [cloneArgsSize]byte
	known := args[:min(c.Data.Args[1], uint64(len(args)))]
	if n, e := c.Target.Read(c.addr(0), known); e != 0 || n < len(known) {
		return Continue // EFAULT
	}
	flags := le.Uint64(args[:])
	r := c.clone(flags)
	if count := le.Uint64(args[cloneSetTIDSize:]); r.Continue && count > 0 && c.setsTID(flags, uintptr(le.Uint64(args[cloneSetTID:])), count) {
		return Errno(unix.EPERM)
	}
	return r
}

// maxPIDLevels is MAX_PID_NS_LEVEL of <linux/pid_namespace.h>.
const maxPIDLevels = 32

// setsTID reports whether a clone3 with these flags, and count thread ids at addr for the new
// thread, is to be refused.
//
// clone(2), set_tid: "EPERM set_tid_size is greater than zero, and the caller lacks the
// CAP_SYS_ADMIN capability in one or more of the user namespaces that own the corresponding
// PID namespaces." CAP_CHECKPOINT_RESTORE suffices, too.
func (c *Call) setsTID(flags uint64, addr uintptr, count uint64) bool {
	if !c.lacksCap(unix.CAP_SYS_ADMIN) || !c.lacksCap(unix.CAP_CHECKPOINT_RESTORE) {
		return false
	}
	if count > maxPIDLevels || !cloneable(flags) { // EINVAL
		return false
	}
	// The first id is that in the innermost namespace, which may be a new one of the caller.
	var first [4]byte
	if n, e := c.Target.Read(addr, first[:]); e != 0 || n < len(first) || int32(le.Uint32(first[:])) < 1 {
		return false // EFAULT, EINVAL
	}
	return flags&unix.CLONE_NEWUSER == 0
}

func (c *Call) clone(flags uint64) Result {
	empty := flags&cloneEmptyMountNS != 0
	if flags&unix.CLONE_NEWUSER != 0 && cloneable(flags) && flags&(unix.CLONE_FS|unix.CLONE_THREAD) == 0 {
		if e := c.createsNamespace(); e != 0 {
			return Errno(e)
		}
	}
	switch {
	case !cloneable(flags): // EINVAL
	case empty && c.lacksEmptyMountNS(flags), !empty && c.isolates(flags):
		return Errno(unix.EPERM)
	case empty, flags&unix.CLONE_NEWNS != 0:
		c.Roots.RootsDiffer(c.PID)
	}
	return Continue
}

// Unshare handles unshare(flags) if it creates namespaces.
func Unshare(c *Call) Result {
	flags := uint64(c.uint32(0))
	empty := flags&UnshareEmptyMountNS != 0
	if flags&^(unshareFlags|UnshareEmptyMountNS) != 0 {
		return c.refuseUnknown(unix.EINVAL)
	}
	if flags&unix.CLONE_NEWUSER != 0 {
		if threads, e := c.Target.Threads(c.PID); e != 0 || len(threads) > 1 {
			return Continue // EINVAL
		}
		if e := c.createsNamespace(); e != 0 {
			return Errno(e)
		}
	}
	switch {
	case empty && c.lacksEmptyMountNS(flags), !empty && c.isolates(flags):
		return Errno(unix.EPERM)
	case empty, flags&unix.CLONE_NEWNS != 0:
		c.Roots.RootsDiffer(c.PID)
	}
	return Continue
}

// createsNamespace prepares for a call that creates a user namespace. The error is EPERM if the
// caller may not, or one of identity.Table.Move.
func (c *Call) createsNamespace() unix.Errno {
	if c.inRuntime() {
		return 0
	}
	if e := c.identity().MayCreateNamespace(); e != 0 {
		return e
	}
	return c.Identities.Move(c.PID)
}

// lacksEmptyMountNS reports whether a call with these flags, which asks for an empty mount
// namespace, fails with EPERM. A kernel that does not know the flag returns EINVAL.
func (c *Call) lacksEmptyMountNS(flags uint64) bool {
	if flags&unix.CLONE_NEWUSER != 0 || !c.lacksCap(unix.CAP_SYS_ADMIN) {
		return false
	}
	return c.asCaller(func() unix.Errno { return sys.Unshare(UnshareEmptyMountNS) }) == unix.EPERM
}

// Setns handles setns(fd, nstype).
func Setns(c *Call) Result {
	fd, kinds := c.int32(0), c.uint32(1)
	if c.lacksCap(unix.CAP_SYS_ADMIN) && c.enters(fd, kinds) {
		return Errno(unix.EPERM)
	}
	if kinds == 0 || kinds&unix.CLONE_NEWUSER != 0 {
		if e := c.entersNamespace(fd, kinds); e != 0 {
			return Errno(e)
		}
	}
	return NewRoot(c)
}

// entersNamespace prepares for a setns(2) that may enter another user namespace. The error is
// EPERM if the caller may not, or one of identity.Table.Move.
//
// setns(2): "A process reassociating itself with a user namespace must have the CAP_SYS_ADMIN
// capability in the target user namespace."
func (c *Call) entersNamespace(fd int32, kinds uint32) unix.Errno {
	if c.inRuntime() || !c.Identities.NamespacesInUse() {
		return 0 // the kernel finds that there is none to enter
	}
	n, e := c.namespaceAt(fd, kinds)
	switch {
	case e == unix.ENOSYS:
		return unix.EPERM // see unchecked
	case e != 0:
		return 0
	}
	if n == c.identity().Namespace {
		return 0 // EINVAL
	}
	if threads, e := c.Target.Threads(c.PID); e != 0 || len(threads) > 1 {
		return 0 // EINVAL
	}
	if !c.identity().CapableIn(n, unix.CAP_SYS_ADMIN) {
		return unix.EPERM
	}
	return c.Identities.Move(c.PID)
}

// namespaceAt returns the user namespace that the caller's descriptor fd refers to: itself, or
// that of a process. The error is ENOSYS if the kernel cannot duplicate the descriptor, and EINVAL or
// another one if it refers to none that the container knows.
func (c *Call) namespaceAt(fd int32, kinds uint32) (*cred.Namespace, unix.Errno) {
	dup, e := c.Target.Dup(fd)
	if e != 0 {
		return nil, e
	}
	defer unix.Close(dup)
	if kind, e := sys.IoctlInt(dup, unix.NS_GET_NSTYPE, 0); e == 0 {
		if kind == unix.CLONE_NEWUSER {
			if n, found := c.Identities.FindNamespace(dup); found {
				return n, 0
			}
		}
		return nil, unix.EINVAL
	}
	pid, e := c.Target.PidfdPID(fd)
	if e != 0 || kinds == 0 {
		return nil, unix.EINVAL
	}
	s, e := c.Identities.Get(pid)
	return s.Namespace, e
}

// enters reports whether the caller's descriptor fd leads into namespaces other than user
// namespaces. The kernel admits the creator of a user namespace to that, and with it to
// others.
func (c *Call) enters(fd int32, kinds uint32) bool {
	dup, e := c.Target.Dup(fd)
	if e != 0 {
		return e != unix.EBADF // perhaps: see unchecked
	}
	defer unix.Close(dup)
	kind, err := unix.IoctlRetInt(dup, unix.NS_GET_NSTYPE)
	if err == nil {
		// setns(2): "EINVAL fd refers to a namespace whose type does not match that
		// specified in nstype."
		return kind != unix.CLONE_NEWUSER && (kinds == 0 || kinds == uint32(kind))
	}
	if _, e := c.Target.PidfdPID(fd); e != 0 {
		return false // EINVAL or ESRCH
	}
	return kinds != 0 && kinds&^(newNamespaces|newTime) == 0
}
