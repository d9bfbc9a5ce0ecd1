package cred

import (
	"slices"

	"golang.org/x/sys/unix"
)

// MaySignal reports whether a thread with the credentials sender may send sig to a thread
// with the credentials target in another process; within a process it always may.
// SameSession says that both processes are in the same session. If not, kill(2) fails with
// EPERM.
func MaySignal(sender, target Credentials, sig unix.Signal, sameSession bool) bool {
	// kill(2): "it must either be privileged (under Linux: have the CAP_KILL capability in
	// the user namespace of the target process), or the real or effective user ID of the
	// sending process must equal the real or saved set-user-ID of the target process. In
	// the case of SIGCONT, it suffices when the sending and receiving processes belong to
	// the same session."
	s, t := sender.UID, target.UID
	return s.Effective == t.Saved || s.Effective == t.Real || s.Real == t.Saved || s.Real == t.Real ||
		sender.CapableIn(target.Namespace, unix.CAP_KILL) || sig == unix.SIGCONT && sameSession
}

// MaySchedule reports whether a thread with the credentials sender may change how one with
// the credentials target is scheduled, by setpriority(2), sched_setscheduler(2),
// sched_setattr(2) or sched_setaffinity(2). If not, these fail with EPERM. A higher
// priority needs further privileges: see sched(7).
//
// setpriority(2): "Linux 2.6.12 and later require the effective user ID of the caller to
// match the real or effective user ID of the process who", or CAP_SYS_NICE.
func MaySchedule(sender, target Credentials) bool {
	return sender.UID.Effective == target.UID.Real || sender.UID.Effective == target.UID.Effective ||
		sender.CapableIn(target.Namespace, unix.CAP_SYS_NICE)
}

// MaySetIOPriority reports whether a thread with the credentials sender may change the I/O
// priority of one with the credentials target. If not, ioprio_set(2) fails with EPERM.
//
// ioprio_set(2): "An unprivileged process may set the I/O priority only for a process
// whose real UID matches the real or effective UID of the calling process. A process
// which has the CAP_SYS_NICE capability can change the priority of any process."
func MaySetIOPriority(sender, target Credentials) bool {
	return target.UID.Real == sender.UID.Effective || target.UID.Real == sender.UID.Real ||
		sender.CapableIn(target.Namespace, unix.CAP_SYS_NICE)
}

// MayPrlimit reports whether a thread with the credentials sender may read or change
// resource limits of another process with the credentials target. If not, prlimit(2) fails
// with EPERM. Raising a hard limit also needs CAP_SYS_RESOURCE.
//
// prlimit(2): "the caller must have the CAP_SYS_RESOURCE capability in the user namespace
// of the process whose resource limits are being changed, or the real, effective, and
// saved set user IDs of the target process must match the real user ID of the caller and
// the real, effective, and saved set group IDs of the target process must match the real
// group ID of the caller."
func MayPrlimit(sender, target Credentials) bool {
	uid, gid := sender.UID.Real, sender.GID.Real
	return target.UID.allEqual(uid) && target.GID.allEqual(gid) || sender.CapableIn(target.Namespace, unix.CAP_SYS_RESOURCE)
}

// allEqual reports whether the real, effective and saved id are id.
func (ids IDs) allEqual(id uint32) bool {
	return ids.Real == id && ids.Effective == id && ids.Saved == id
}

// MayPing reports whether a thread with the credentials c may create ICMP Echo sockets, if
// low and high are the ping_group_range of its network namespace. If not, socket(2) fails
// with EACCES.
//
// icmp(7), ping_group_range: "Range of the group IDs (minimum and maximum group IDs,
// inclusive) that are allowed to create ICMP Echo sockets."
func MayPing(c Credentials, low, high uint32) bool {
	if low <= c.GID.Effective && c.GID.Effective <= high {
		return true
	}
	return slices.ContainsFunc(c.Groups, func(gid uint32) bool { return low <= gid && gid <= high })
}

// MayPtrace implements "Ptrace access mode checking" of ptrace(2) for threads of different
// processes: it reports whether one with the credentials caller may inspect or trace one
// with the credentials target. Fscreds selects PTRACE_MODE_FSCREDS instead of
// PTRACE_MODE_REALCREDS. The target's dumpable attribute is not part of its credentials
// and must be checked separately.
func MayPtrace(caller, target Credentials, fscreds bool) bool {
	// "the caller has the CAP_SYS_PTRACE capability in the user namespace of the target"
	if caller.CapableIn(target.Namespace, unix.CAP_SYS_PTRACE) {
		return true
	}
	// "If the access mode specifies PTRACE_MODE_FSCREDS, then [...] employ the caller's
	// filesystem UID and GID." "Otherwise [...] use the caller's real UID and GID."
	uid, gid, caps := caller.UID.Real, caller.GID.Real, caller.Permitted
	if fscreds {
		uid, gid, caps = caller.UID.FS, caller.GID.FS, caller.Effective
	}
	// "The real, effective, and saved-set user IDs of the target match the caller's user
	// ID, and the real, effective, and saved-set group IDs of the target match the caller's
	// group ID", and "the caller and the target process are in the same user namespace, and the
	// caller's capabilities are a superset of the target process's permitted capabilities".
	return caller.Namespace == target.Namespace && target.UID.allEqual(uid) && target.GID.allEqual(gid) && target.Permitted.subsetOf(caps)
}
