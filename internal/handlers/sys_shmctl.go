package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/perm"
	"github.com/rootless-containers/subuidless/internal/svipc"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// ipcControl is a call of shmctl(2), semctl(2) or msgctl(2).
type ipcControl struct {
	kind   sys.IPCKind
	id     int32 // or the index, for SHM_STAT and its relatives
	semnum int32
	cmd    int32
	arg    uintptr      // a pointer or a number
	layout svipc.Layout // of what arg points to
}

// Shmctl handles shmctl(shmid, cmd, buf).
func Shmctl(c *Call) Result { return c.shmctl(svipc.Native) }

// Shmctl32 handles shmctl of i386.
func Shmctl32(c *Call) Result { return c.shmctl(svipc.I386) }

func (c *Call) shmctl(l svipc.Layout) Result {
	return c.ipcControl(&ipcControl{kind: sys.SharedMemory, id: c.int32(0), cmd: c.int32(1), arg: c.addr(2), layout: l})
}

// Semctl handles semctl(semid, semnum, cmd, arg).
func Semctl(c *Call) Result { return c.semctl(svipc.Native) }

// Semctl32 handles semctl of i386.
func Semctl32(c *Call) Result { return c.semctl(svipc.I386) }

func (c *Call) semctl(l svipc.Layout) Result {
	return c.ipcControl(&ipcControl{
		kind: sys.Semaphores, id: c.int32(0), semnum: c.int32(1), cmd: c.int32(2), arg: c.addr(3), layout: l,
	})
}

// Msgctl handles msgctl(msqid, cmd, buf).
func Msgctl(c *Call) Result { return c.msgctl(svipc.Native) }

// Msgctl32 handles msgctl of i386.
func Msgctl32(c *Call) Result { return c.msgctl(svipc.I386) }

func (c *Call) msgctl(l svipc.Layout) Result {
	return c.ipcControl(&ipcControl{kind: sys.MessageQueue, id: c.int32(0), cmd: c.int32(1), arg: c.addr(2), layout: l})
}

// ipcControl handles a call of shmctl(2), semctl(2) or msgctl(2).
func (c *Call) ipcControl(call *ipcControl) Result {
	switch {
	case c.inRuntime():
		return Continue
	case call.cmd == unix.IPC_RMID:
		return c.ipcRemove(call)
	case call.cmd == unix.IPC_SET:
		return c.ipcSet(call)
	case call.cmd == unix.IPC_STAT, call.cmd == int32(indexStat[call.kind]), call.cmd == int32(indexStatAny[call.kind]):
		return c.ipcStatus(call)
	case call.kind == sys.SharedMemory && (call.cmd == shmLock || call.cmd == shmUnlock):
		return c.ipcLock(call)
	case call.kind == sys.Semaphores:
		return c.semValues(call)
	}
	return Continue
}

// ipcRemove handles IPC_RMID. The record stays: the kernel may have to execute the call twice,
// and shared memory exists until the last process has detached it.
func (c *Call) ipcRemove(call *ipcControl) Result {
	if !c.lacksCapInContainer(unix.CAP_SYS_ADMIN) {
		return Continue
	}
	o, ok := c.openIPC(call.kind, call.id)
	if !ok {
		return Continue
	}
	if e := perm.IPCManage(c.ipcIdentity(), o.visible()); e != 0 {
		return Errno(e)
	}
	return Continue
}

// ipcSet handles IPC_SET. The kernel changes all but the owner, which it does not know.
func (c *Call) ipcSet(call *ipcControl) Result {
	to, e := c.readIPCChange(call)
	if e != 0 {
		return Continue // EFAULT
	}
	uid, e := c.givenUID(to.UID)
	gid, e2 := c.givenGID(to.GID)
	o, ok := c.openIPC(call.kind, call.id)
	if !ok {
		return Continue
	}
	if c.Identities.InUse() {
		if e := perm.IPCManage(c.ipcIdentity(), o.visible()); e != 0 {
			return Errno(e)
		}
	}
	if e != 0 || e2 != 0 {
		return Errno(unix.EINVAL)
	}
	to.UID, to.GID = uid, gid
	mapped := c.Owners.Mapped
	if !o.recorded && to.UID == mapped.UID && to.GID == mapped.GID && !c.lacksCapInContainer(unix.CAP_SYS_RESOURCE) {
		return Continue
	}
	if !c.Listener.Waits() {
		return Errno(unix.ESRCH)
	}
	return Errno(c.ipcChange(o, to))
}

// ipcChange makes the change to of IPC_SET to the object o.
func (c *Call) ipcChange(o *ipcObject, to svipc.Change) unix.Errno {
	old, recorded := o.record, o.recorded
	fresh := old
	fresh.UID, fresh.GID, fresh.Changed = to.UID, to.GID, 0
	// The kernel knows one id. It reports an error for the id -1.
	if to.UID != owner.Noop {
		to.UID = c.Owners.Mapped.UID
	}
	if to.GID != owner.Noop {
		to.GID = c.Owners.Mapped.GID
	}
	// If the worker dies between the change and the record of its time, the old record remains.
	old.Changed = 0
	if e := c.recordIPC(o.ns, o.key, &old); e != 0 {
		return e
	}
	o.status.Set(&to)
	// msgctl(2): "EPERM An attempt (IPC_SET) was made to increase msg_qbytes beyond the system
	// parameter MSGMNB, but the caller is not privileged (Linux: does not have the
	// CAP_SYS_RESOURCE capability)."
	e := c.asCaller(func() unix.Errno {
		_, e := c.Target.IPCControl(o.key.Kind, o.key.ID, unix.IPC_SET, &o.status.Raw)
		return e
	})
	if e == 0 {
		if _, e := c.Target.IPCControl(o.key.Kind, o.key.ID, unix.IPC_STAT, &o.status.Raw); e == 0 {
			fresh.Changed = o.status.Changed()
		}
		return c.recordIPC(o.ns, o.key, &fresh)
	}
	if recorded {
		c.recordIPC(o.ns, o.key, &o.record)
	} else {
		c.IPC.Delete(o.key)
	}
	return e
}

// readIPCChange reads what IPC_SET is to change from the caller's memory.
func (c *Call) readIPCChange(call *ipcControl) (svipc.Change, unix.Errno) {
	var room sys.IPCStatus
	b := room[:call.layout.ChangeSize(call.kind)]
	if n, e := c.Target.Read(call.arg, b); e != 0 || n < len(b) {
		return svipc.Change{}, unix.EFAULT
	}
	return call.layout.Change(call.kind, b), 0
}

// ipcStatus handles IPC_STAT, and SHM_STAT, SHM_STAT_ANY and their relatives.
func (c *Call) ipcStatus(call *ipcControl) Result {
	o, e := c.ipcToShow(call)
	switch {
	case e != 0:
		return Errno(e)
	case o == nil, !o.recorded && c.namespace() == nil:
		return Continue
	}
	shown := c.shownIPC(o.record)
	o.status.Show(&shown)
	c.showPIDs(o)
	var room sys.IPCStatus
	if e := c.write(call.arg, o.status.In(call.layout, &room)); e != 0 {
		return Errno(e)
	}
	if call.cmd == unix.IPC_STAT {
		return Return(0)
	}
	return Return(int(o.key.ID))
}

// ipcToShow returns the object whose status the caller reads, or nil if the kernel knows the
// answer. The error is EACCES.
func (c *Call) ipcToShow(call *ipcControl) (*ipcObject, unix.Errno) {
	checks := call.cmd != int32(indexStatAny[call.kind]) && c.checksIPC()
	if !checks && !c.IPC.InUse() && c.namespace() == nil {
		return nil, 0
	}
	open := c.openIPCIndex
	if call.cmd == unix.IPC_STAT {
		open = c.openIPC
	}
	o, ok := open(call.kind, call.id)
	if !ok {
		return nil, 0
	}
	if checks {
		if e := perm.IPCAccess(c.ipcIdentity(), o.visible(), perm.Read); e != 0 {
			return nil, e
		}
	}
	return o, 0
}

// ipcLock handles SHM_LOCK and SHM_UNLOCK.
func (c *Call) ipcLock(call *ipcControl) Result {
	if !c.lacksCapInContainer(unix.CAP_IPC_LOCK) {
		return Continue
	}
	o, ok := c.openIPC(call.kind, call.id)
	if !ok {
		return Continue
	}
	var limit unix.Rlimit
	if e := sys.Prlimit(c.PID, unix.RLIMIT_MEMLOCK, nil, &limit); e != 0 {
		return Errno(e)
	}
	if e := perm.IPCLock(c.ipcIdentity(), o.visible(), call.cmd == shmLock, limit.Cur); e != 0 {
		return Errno(e)
	}
	return Continue
}

// semMax is SEMVMX of <linux/sem.h>.
const semMax = 32767

// semValues handles the commands of semctl(2) that read or change the values of semaphores.
func (c *Call) semValues(call *ipcControl) Result {
	var want uint32
	switch call.cmd {
	case semGetpid, semGetval, semGetall, semGetncnt, semGetzcnt:
		want = perm.Read
	case semSetval, semSetall:
		want = perm.Write
	default:
		return Continue
	}
	e := c.needsIPC(call.kind, call.id, want)
	all := call.cmd == semGetall || call.cmd == semSetall
	switch {
	case e == 0,
		call.cmd == semSetval && uint32(call.arg) > semMax,                                   // ERANGE
		!all && call.cmd == semSetval && uint64(uint32(call.semnum)) >= c.ipc.status.Count(): // EINVAL
		return Continue
	}
	return Errno(e)
}
