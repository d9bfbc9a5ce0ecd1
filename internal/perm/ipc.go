package perm

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
)

// IPC has the owner, the creator and the mode of a System V IPC object: struct ipc_perm of
// sysvipc(7). Ids are emulated ids.
type IPC struct{ UID, GID, CUID, CGID, Mode uint32 }

// IPCAccess decides whether the caller has all permissions in want, a combination of Read and
// Write, and Exec for shmat(2) with SHM_EXEC. The error is EACCES.
func IPCAccess(c cred.Credentials, o IPC, want uint32) unix.Errno {
	mode := o.Mode
	switch {
	// shmget(2): the bits of the mode "specify the permissions granted to the owner, group,
	// and others." The creator counts as an owner.
	case ownsIPC(c, o):
		mode >>= 6
	// The group is that of the owner or that of the creator. The kernel compares both with the
	// file system group id.
	case c.InGroup(o.CGID), c.InGroup(o.GID):
		mode >>= 3
	}
	// shmat(2): "EACCES The calling process does not have the required permissions for the
	// requested attach type, and does not have the CAP_IPC_OWNER capability in the user
	// namespace that governs its IPC namespace."
	if want&^mode&7 != 0 && !c.Capable(unix.CAP_IPC_OWNER) {
		return unix.EACCES
	}
	return 0
}

// IPCRequest returns the permissions that shmget(2), semget(2) and msgget(2) check for an
// object that exists, if they are called with these flags.
//
// shmget(2): "If the shared memory segment already exists, the permissions are verified": the
// bits that the flags have for any of owner, group and others.
func IPCRequest(flags uint32) uint32 { return (flags | flags>>3 | flags>>6) & 7 }

// IPCManage decides whether the caller may change or remove the object, with IPC_SET or
// IPC_RMID. The error is EPERM.
//
// shmctl(2): "EPERM IPC_SET or IPC_RMID is attempted, and the effective user ID of the
// calling process is not that of the creator (found in shm_perm.cuid), or the owner (found in
// shm_perm.uid), and the process was not privileged (Linux: did not have the CAP_SYS_ADMIN
// capability)."
func IPCManage(c cred.Credentials, o IPC) unix.Errno {
	if ownsIPC(c, o) || c.Capable(unix.CAP_SYS_ADMIN) {
		return 0
	}
	return unix.EPERM
}

// IPCLock decides whether the caller may lock (SHM_LOCK) or unlock (SHM_UNLOCK) a segment of
// shared memory. Memlock is its soft RLIMIT_MEMLOCK. The error is EPERM.
//
// shmctl(2): "Since Linux 2.6.10, an unprivileged process can lock a shared memory segment if
// its effective UID matches the owner or creator UID of the segment, and (for SHM_LOCK) its
// RLIMIT_MEMLOCK resource limit is nonzero". Privileged is a process with CAP_IPC_LOCK.
func IPCLock(c cred.Credentials, o IPC, lock bool, memlock uint64) unix.Errno {
	if c.Capable(unix.CAP_IPC_LOCK) || ownsIPC(c, o) && !(lock && memlock == 0) {
		return 0
	}
	return unix.EPERM
}

// ownsIPC reports whether the caller is the owner or the creator of the object.
func ownsIPC(c cred.Credentials, o IPC) bool {
	return c.UID.Effective == o.UID || c.UID.Effective == o.CUID
}
