package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/perm"
	"github.com/rootless-containers/subuidless/internal/svipc"
	"github.com/rootless-containers/subuidless/internal/sys"
	"github.com/rootless-containers/subuidless/internal/target"
)

// Shmget handles shmget(key, size, shmflg).
func Shmget(c *Call) Result {
	return c.ipcGet(sys.SharedMemory, c.int32(0), uintptr(c.Data.Args[1]), c.uint32(2))
}

// Semget handles semget(key, nsems, semflg).
func Semget(c *Call) Result {
	return c.ipcGet(sys.Semaphores, c.int32(0), uintptr(c.Data.Args[1]), c.uint32(2))
}

// Msgget handles msgget(key, msgflg).
func Msgget(c *Call) Result { return c.ipcGet(sys.MessageQueue, c.int32(0), 0, c.uint32(1)) }

// ipcGet handles a call that looks an object up by its key, or creates it.
//
// An object that belongs to another user than the container's root is created here, because
// the kernel would not report its id to the supervisor. The kernel then considers the supervisor
// the creator of shared memory (shm_cpid), so the record has the right process, too.
func (c *Call) ipcGet(kind sys.IPCKind, key int32, size uintptr, flags uint32) Result {
	if !c.Identities.InUse() || c.inRuntime() {
		return Continue
	}
	if key == unix.IPC_PRIVATE {
		flags |= unix.IPC_CREAT | unix.IPC_EXCL
	}
	creates := flags&unix.IPC_CREAT != 0 && !c.createsIPCAsRoot()
	checks := key != unix.IPC_PRIVATE && c.checksIPC()
	if !creates && !checks {
		return Continue
	}
	ns, e := c.Target.EnterIPC()
	if e != 0 {
		return Continue
	}
	if !creates {
		return c.ipcGetExisting(ns, kind, key, size, flags)
	}
	return c.ipcGetOrCreate(ns, kind, key, size, flags)
}

// ipcGetExisting handles a call for which the kernel may create an object, or returns one that
// exists if the caller has the permissions.
func (c *Call) ipcGetExisting(ns target.IPCNamespace, kind sys.IPCKind, key int32, size uintptr, flags uint32) Result {
	if flags&(unix.IPC_CREAT|unix.IPC_EXCL) == unix.IPC_CREAT|unix.IPC_EXCL {
		return Continue // EEXIST if it exists
	}
	id, e := c.Target.IPCGet(kind, key, size, flags&^unix.IPC_CREAT)
	if e != 0 {
		return Continue // the same error, except that ENOENT lets the kernel create it
	}
	if o, ok := c.loadIPC(ns, kind, int32(id), unix.IPC_STAT); ok {
		if e := perm.IPCAccess(c.ipcIdentity(), o.visible(), perm.IPCRequest(flags)); e != 0 {
			return Errno(e)
		}
	}
	return Continue
}

// ipcGetOrCreate handles a call that creates an object for a user other than root if the key
// is private or new. The kernel must not execute it: it might create the object.
func (c *Call) ipcGetOrCreate(ns target.IPCNamespace, kind sys.IPCKind, key int32, size uintptr, flags uint32) Result {
	for range openAttempts {
		if key != unix.IPC_PRIVATE {
			id, e := c.Target.IPCGet(kind, key, size, flags&^(unix.IPC_CREAT|unix.IPC_EXCL))
			switch {
			case e == unix.ENOENT:
			case e == 0 && c.hasMadeIPC(ns, kind, int32(id)):
				return c.recordNewIPC(ns, svipc.Key{Namespace: ns.ID, Kind: kind, ID: int32(id)})
			case flags&unix.IPC_EXCL == 0 && e != 0:
				return Errno(e)
			case flags&unix.IPC_EXCL == 0:
				return c.permittedIPC(ns, kind, int32(id), flags)
			}
			*c.Intent = Intent{}
			if e == unix.ENOENT {
				c.note(Intent{Began: sys.CoarseNow()})
			}
		}
		result := c.createIPC(ns, kind, key, size, flags|unix.IPC_EXCL)
		if result.Errno == 0 {
			return result
		}
		*c.Intent = Intent{} // a later attempt starts anew
		if result.Errno != unix.EEXIST || flags&unix.IPC_EXCL != 0 {
			return result
		}
		// Another process has just created it, and may have removed it again.
	}
	return Errno(unix.EAGAIN)
}

// createIPC creates an object that belongs to the caller.
func (c *Call) createIPC(ns target.IPCNamespace, kind sys.IPCKind, key int32, size uintptr, flags uint32) Result {
	if !c.Listener.Waits() {
		return Errno(unix.ESRCH)
	}
	c.IPC.BeginCreate()
	defer c.IPC.EndCreate()
	id, e := c.Target.IPCGet(kind, key, size, flags)
	if e != 0 {
		return Errno(e)
	}
	return c.recordNewIPC(ns, svipc.Key{Namespace: ns.ID, Kind: kind, ID: int32(id)})
}

// permittedIPC returns the id of an object that exists, if the caller has the permissions.
func (c *Call) permittedIPC(ns target.IPCNamespace, kind sys.IPCKind, id int32, flags uint32) Result {
	if c.NoPermissions {
		return Return(int(id))
	}
	o, ok := c.loadIPC(ns, kind, id, unix.IPC_STAT)
	if !ok {
		return Return(int(id)) // the kernel has checked the permissions of the host's user
	}
	if e := perm.IPCAccess(c.ipcIdentity(), o.visible(), perm.IPCRequest(flags)); e != 0 {
		return Errno(e)
	}
	return Return(int(id))
}

// hasMadeIPC reports whether an earlier attempt at this call has created the object. Nothing
// had the key then. If the key is private, nothing shows it: the call creates another object,
// and the first one remains with root.
func (c *Call) hasMadeIPC(ns target.IPCNamespace, kind sys.IPCKind, id int32) bool {
	if !c.resumes() {
		return false
	}
	o, ok := c.loadIPC(ns, kind, id, unix.IPC_STAT)
	if !ok || o.recorded && o.record.CUID != c.identity().UID.Effective {
		return false
	}
	created := o.status.Changed() * 1e9
	return created >= c.Intent.Began-granularity && created <= c.Before
}

// recordNewIPC records that the caller has created the object k of the namespace ns, and returns its
// id.
func (c *Call) recordNewIPC(ns target.IPCNamespace, k svipc.Key) Result {
	uid, gid := c.identity().UID.Effective, c.identity().GID.Effective
	r := svipc.Record{UID: uid, GID: gid, CUID: uid, CGID: gid}
	if k.Kind == sys.SharedMemory {
		r.Creator, r.CreatorInside, r.PIDNamespace, _ = c.Target.ProcessID()
	}
	status := svipc.Status{Kind: k.Kind}
	if _, e := c.Target.IPCControl(k.Kind, k.ID, unix.IPC_STAT, &status.Raw); e == 0 {
		r.Changed = status.Changed()
	}
	if e := c.recordIPC(ns, k, &r); e != 0 {
		c.Target.IPCControl(k.Kind, k.ID, unix.IPC_RMID, nil)
		return Errno(e)
	}
	return Result{Val: int64(k.ID), Final: true}
}
