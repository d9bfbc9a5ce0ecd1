package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// IPCKind is a kind of System V IPC objects: see sysvipc(7).
type IPCKind uint32

const (
	SharedMemory IPCKind = iota
	Semaphores
	MessageQueue

	ipcKinds = iota
)

// IPCStatus is room for struct shmid_ds, semid_ds or msqid_ds of the machine's own ABI.
type IPCStatus [128]byte

var (
	ipcGet     = [ipcKinds]uintptr{SharedMemory: unix.SYS_SHMGET, Semaphores: unix.SYS_SEMGET, MessageQueue: unix.SYS_MSGGET}
	ipcControl = [ipcKinds]uintptr{SharedMemory: unix.SYS_SHMCTL, Semaphores: unix.SYS_SEMCTL, MessageQueue: unix.SYS_MSGCTL}
)

// IPCGet is shmget(2), semget(2) or msgget(2): it returns the id of an object. Size is the
// size of shared memory or the number of semaphores; message queues have none.
func IPCGet(kind IPCKind, key int32, size uintptr, flags uint32) (int, unix.Errno) {
	second, third := size, uintptr(flags)
	if kind == MessageQueue {
		second, third = third, 0
	}
	id, _, e := syscall.RawSyscall(ipcGet[kind], uintptr(key), second, third)
	return result(id, e)
}

// IPCControl is shmctl(2), semctl(2) or msgctl(2), with a command whose argument is a
// pointer to the status of the object.
func IPCControl(kind IPCKind, id int32, cmd int, status *IPCStatus) (int, unix.Errno) {
	second, third, fourth := uintptr(cmd), uintptr(unsafe.Pointer(status)), uintptr(0)
	if kind == Semaphores {
		second, third, fourth = 0, second, third // no number of a semaphore
	}
	r, _, e := syscall.RawSyscall6(ipcControl[kind], uintptr(id), second, third, fourth, 0, 0)
	return result(r, e)
}

// nsGetID is NS_GET_ID of <linux/nsfs.h>.
const nsGetID = 0x8008b70d

// NamespaceID returns the number of the namespace that fd refers to. No other namespace has
// ever had it since the machine was booted. The error is ENOTTY before Linux 6.18.
func NamespaceID(fd int) (uint64, unix.Errno) {
	var id uint64
	_, _, e := syscall.RawSyscall(unix.SYS_IOCTL, uintptr(fd), nsGetID, uintptr(unsafe.Pointer(&id)))
	return id, e
}

// MqOpen is mq_open(2), with O_CLOEXEC. Attr is a struct mq_attr, or nil.
func MqOpen(name *byte, flags, mode uint32, attr *[8]int64) (int, unix.Errno) {
	fd, _, e := syscall.RawSyscall6(unix.SYS_MQ_OPEN, uintptr(unsafe.Pointer(name)), uintptr(flags|unix.O_CLOEXEC),
		uintptr(mode), uintptr(unsafe.Pointer(attr)), 0, 0)
	return result(fd, e)
}
