package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/perm"
	"github.com/rootless-containers/subuidless/internal/svipc"
	"github.com/rootless-containers/subuidless/internal/sys"
	"github.com/rootless-containers/subuidless/internal/target"
)

// System V IPC objects: shared memory, sets of semaphores, and message queues. In the kernel
// they belong to the mapped id, and every task of the container may use and remove them. Who
// has created an object, and who owns it, is in the table of package svipc; an object without
// a record belongs to the container's root. The mode is that of the kernel.

// Commands of *ctl that golang.org/x/sys/unix lacks: from <linux/ipc.h>, <linux/shm.h>,
// <linux/sem.h> and <linux/msg.h>.
const (
	shmLock    = 11
	shmUnlock  = 12
	shmStat    = 13
	shmStatAny = 15

	msgStat    = 11
	msgStatAny = 13

	semGetpid  = 11
	semGetval  = 12
	semGetall  = 13
	semGetncnt = 14
	semGetzcnt = 15
	semSetval  = 16
	semSetall  = 17
	semStat    = 18
	semStatAny = 20
)

// indexStat and indexStatAny are the commands that return the status of the object at an
// index, with and without read permission.
var (
	indexStat    = [...]int{sys.SharedMemory: shmStat, sys.Semaphores: semStat, sys.MessageQueue: msgStat}
	indexStatAny = [...]int{sys.SharedMemory: shmStatAny, sys.Semaphores: semStatAny, sys.MessageQueue: msgStatAny}
)

// ipcObject is a System V IPC object: its status, by the kernel, and its record.
type ipcObject struct {
	ns       target.IPCNamespace
	key      svipc.Key
	status   svipc.Status
	record   svipc.Record // the container's root if recorded is false
	recorded bool
}

// shownIPC translates the owner and creator of an object to what the caller sees.
func (c *Call) shownIPC(r svipc.Record) svipc.Record {
	r.UID, r.CUID = c.shownUID(r.UID), c.shownUID(r.CUID)
	r.GID, r.CGID = c.shownGID(r.GID), c.shownGID(r.CGID)
	return r
}

// visible returns owner, creator and mode as the container sees them.
func (o *ipcObject) visible() perm.IPC {
	r := &o.record
	return perm.IPC{UID: r.UID, GID: r.GID, CUID: r.CUID, CGID: r.CGID, Mode: o.status.Mode()}
}

// indexMask selects the index in the id of an object: IPCMNI_SHIFT of the kernel.
const indexMask = 1<<15 - 1

// openIPC loads the object id, in the caller's IPC namespace, into the object of c. Ok is
// false if the kernel will report an error, or the object belongs to another user of the host:
// the kernel then decides.
func (c *Call) openIPC(kind sys.IPCKind, id int32) (o *ipcObject, ok bool) {
	ns, e := c.Target.EnterIPC()
	if e != 0 {
		return nil, false
	}
	return c.loadIPC(ns, kind, id, unix.IPC_STAT)
}

// openIPCIndex is openIPC for an index instead of an id.
func (c *Call) openIPCIndex(kind sys.IPCKind, index int32) (o *ipcObject, ok bool) {
	ns, e := c.Target.EnterIPC()
	if e != 0 {
		return nil, false
	}
	return c.loadIPC(ns, kind, index, indexStatAny[kind])
}

// loadIPC is openIPC in the namespace ns, which the caller has entered. Cmd is IPC_STAT, or
// what indexStatAny has; then id is an index.
func (c *Call) loadIPC(ns target.IPCNamespace, kind sys.IPCKind, id int32, cmd int) (o *ipcObject, ok bool) {
	o = &c.ipc
	o.status.Kind = kind
	for retry := false; ; retry = true {
		r, e := c.Target.IPCControl(kind, id, cmd, &o.status.Raw)
		if e == unix.EACCES && cmd == unix.IPC_STAT {
			// In the host's namespace, the mode applies to the supervisor, too.
			if r, e = c.Target.IPCControl(kind, id&indexMask, indexStatAny[kind], &o.status.Raw); int32(r) != id {
				return nil, false
			}
		}
		mapped := c.Owners.Mapped
		if e != 0 || o.status.UID() != mapped.UID || o.status.CUID() != mapped.UID {
			return nil, false
		}
		o.ns, o.key = ns, svipc.Key{Namespace: ns.ID, Kind: kind, ID: id}
		if cmd != unix.IPC_STAT {
			o.key.ID = int32(r)
		}
		o.record, o.recorded = c.IPC.GetNew(o.key)
		if o.recorded && ns.Reusable && !o.record.Matches(&o.status) {
			if !retry {
				continue // another receiver may just have changed both
			}
			o.recorded = false // an earlier object of the same name
		}
		if !o.recorded {
			o.record = svipc.Record{UID: mapped.UID, GID: mapped.GID, CUID: mapped.UID, CGID: mapped.GID}
		}
		return o, true
	}
}

// needsIPC checks whether the caller has the permissions want on the object id: see
// perm.IPCAccess.
func (c *Call) needsIPC(kind sys.IPCKind, id int32, want uint32) unix.Errno {
	if !c.checksIPC() {
		return 0
	}
	o, ok := c.openIPC(kind, id)
	if !ok {
		return 0
	}
	return perm.IPCAccess(c.ipcIdentity(), o.visible(), want)
}

// ipcIdentity returns the caller's credentials for the objects of its IPC namespace.
func (c *Call) ipcIdentity() cred.Credentials { return c.identityIn("ipc") }

// checksIPC reports whether the caller needs permissions on objects.
func (c *Call) checksIPC() bool {
	return !c.NoPermissions && c.lacksCapInContainer(unix.CAP_IPC_OWNER)
}

// recordIPC stores r for the object k of the namespace ns, which the caller has entered.
func (c *Call) recordIPC(ns target.IPCNamespace, k svipc.Key, r *svipc.Record) unix.Errno {
	hold := ns.Reusable && !c.IPC.Holds(ns.ID)
	if hold || !c.IPC.HasRoom() { // before another one is held, those that are gone are released
		c.reclaimIPC(ns.ID)
	}
	if hold {
		fd, e := c.Target.OpenIPC()
		if e != 0 {
			return unix.ENOSPC
		}
		c.IPC.Hold(ns.ID, fd)
	}
	return c.IPC.Set(k, *r)
}

// reclaimIPC removes the records of objects that no longer exist, and of namespaces without a
// process. The caller has entered the namespace own.
func (c *Call) reclaimIPC(own uint64) {
	used := map[uint64]bool{own: true}
	if !c.Target.IPCNamespaces(func(ns target.IPCNamespace, _ int) { used[ns.ID] = true }) {
		used = nil // unknown
	}
	c.IPC.Reclaim(func(ns uint64) bool { return used != nil && !used[ns] }, func(k svipc.Key) bool {
		if k.Namespace != own {
			return false
		}
		var status sys.IPCStatus
		_, e := c.Target.IPCControl(k.Kind, k.ID, unix.IPC_STAT, &status)
		return e == unix.EINVAL || e == unix.EIDRM
	})
}

// AdoptIPC makes the records of a dead worker those of this one, which has just begun: it holds
// their namespaces if the kernel may give the IDs again. Namespaces that are gone lose their records.
func (c *Call) AdoptIPC() {
	held, reusable := map[uint64]int{}, false
	c.Target.IPCNamespaces(func(ns target.IPCNamespace, fd int) {
		reusable = ns.Reusable
		if _, ok := held[ns.ID]; ok || !reusable {
			return
		}
		if copied, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0); err == nil {
			held[ns.ID] = copied
		}
	})
	if reusable {
		c.IPC.Adopt(held)
	}
}

// createsIPCAsRoot reports whether an object that the kernel creates for the caller has the
// right owner without a record.
func (c *Call) createsIPCAsRoot() bool {
	s := c.identity()
	return s.UID.Effective == c.Owners.Mapped.UID && s.GID.Effective == c.Owners.Mapped.GID
}

// showPIDs replaces the process ids in the status of o, which are the supervisor's numbers,
// by those of the caller. A process that has ended is 0, if its number would be another one.
func (c *Call) showPIDs(o *ipcObject) {
	ns, e := c.Target.PIDNamespace()
	if e != 0 {
		return
	}
	o.status.PIDs(func(pid *uint32) { *pid = c.seenPID(*pid) })
	if o.record.Creator != 0 {
		o.status.SetCreator(c.seenCreator(&o.record, ns))
	}
}

// seenPID translates pid from the supervisor's PID namespace to the caller's. It is 0 if the
// process has ended, or cannot be seen there.
func (c *Call) seenPID(pid uint32) uint32 {
	if pid == 0 {
		return 0
	}
	seen, _ := c.Target.SeenPID(pid)
	return uint32(seen)
}

// seenCreator returns the process that has created the object of r, by its number in the
// caller's PID namespace, whose inode number is ns.
func (c *Call) seenCreator(r *svipc.Record, ns uint64) uint32 {
	if ns == r.PIDNamespace {
		return r.CreatorInside
	}
	return c.seenPID(r.Creator)
}
