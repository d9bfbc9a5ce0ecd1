package handlers

import (
	"encoding/binary"

	"github.com/rootless-containers/subuidless/internal/svipc"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// The calls of ipc(2), from <linux/ipc.h>. Those that are not listed need no answer.
const (
	ipcSemop      = 1
	IPCSemget     = 2 // the exported ones are answered even with --permissions=off
	IPCSemctl     = 3
	ipcSemtimedop = 4
	ipcMsgsnd     = 11
	ipcMsgrcv     = 12
	IPCMsgget     = 13
	IPCMsgctl     = 14
	ipcShmat      = 21
	IPCShmget     = 23
	IPCShmctl     = 24
)

// ipc64 is IPC_64 of <linux/ipc.h>: the command uses the structures with 32-bit ids. Without
// it, ipc(2) uses those of Linux 2.2.
const ipc64 = 0x100

// IPC handles ipc(call, first, second, third, ptr, fifth) of i386, the only way to System V IPC
// before Linux 5.1.
func IPC(c *Call) Result {
	first, second, third, ptr := c.int32(1), c.uint32(2), c.uint32(3), c.addr(4)
	// The upper half is a version, for changes of the arguments.
	version := c.uint32(0) >> 16
	switch c.uint32(0) & 0xffff {
	case ipcSemop:
		return c.semop(first, ptr, second, Timespec32, 0)
	case ipcSemtimedop:
		return c.semop(first, ptr, second, Timespec32, c.addr(5))
	case IPCSemget:
		return c.ipcGet(sys.Semaphores, first, uintptr(second), third)
	case IPCSemctl:
		var arg [4]byte // union semun
		if n, e := c.Target.Read(ptr, arg[:]); e != 0 || n < len(arg) {
			return Continue // EINVAL or EFAULT
		}
		call := ipcControl{kind: sys.Semaphores, id: first, semnum: int32(second), cmd: int32(third)}
		call.arg = uintptr(binary.LittleEndian.Uint32(arg[:]))
		return c.ipcControlOld(&call)
	case ipcMsgsnd:
		return c.msgsnd(first, ptr, uint64(int64(int32(second))), 4)
	case ipcMsgrcv:
		if version == 0 {
			var kludge [8]byte // struct ipc_kludge: the buffer, and the type
			if n, e := c.Target.Read(ptr, kludge[:]); e != 0 || n < len(kludge) {
				return Continue // EFAULT, or EINVAL
			}
			ptr = uintptr(binary.LittleEndian.Uint32(kludge[:]))
		}
		return c.msgrcv(first, ptr, int64(int32(second)), third)
	case IPCMsgget:
		return c.ipcGet(sys.MessageQueue, first, 0, second)
	case IPCMsgctl:
		return c.ipcControlOld(&ipcControl{kind: sys.MessageQueue, id: first, cmd: int32(second), arg: ptr})
	case ipcShmat:
		if version == 1 {
			return Continue // EINVAL
		}
		return c.shmat(first, ptr, second)
	case IPCShmget:
		return c.ipcGet(sys.SharedMemory, first, uintptr(second), third)
	case IPCShmctl:
		return c.ipcControlOld(&ipcControl{kind: sys.SharedMemory, id: first, cmd: int32(second), arg: ptr})
	}
	return Continue
}

// ipcControlOld handles a command of ipc(2).
func (c *Call) ipcControlOld(call *ipcControl) Result {
	call.layout = svipc.I386
	if call.cmd&ipc64 == 0 {
		call.layout = svipc.Old
	}
	call.cmd &^= ipc64
	return c.ipcControl(call)
}
