package handlers

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/perm"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// The operations on System V IPC objects need permissions, and have effects on the caller
// itself: its memory, the values that its end undoes, messages. The kernel executes them.

// Flags of shmat(2) that golang.org/x/sys/unix lacks: from <linux/shm.h>.
const (
	shmRemap = 0o40000
	shmExec  = 0o100000
)

// Shmat handles shmat(shmid, shmaddr, shmflg).
func Shmat(c *Call) Result { return c.shmat(c.int32(0), c.addr(1), c.uint32(2)) }

func (c *Call) shmat(id int32, addr uintptr, flags uint32) Result {
	// shmat(2), SHM_RDONLY: "The process must have read permission for the segment. If this
	// flag is not specified, the segment is attached for read and write access, and the
	// process must have read and write permission for the segment." SHM_EXEC: "The caller
	// must have execute permission on the segment."
	want := uint32(perm.Read)
	if flags&unix.SHM_RDONLY == 0 {
		want |= perm.Write
	}
	if flags&shmExec != 0 {
		want |= perm.Exec
	}
	e := c.needsIPC(sys.SharedMemory, id, want)
	if e == 0 {
		return Continue
	}
	// The kernel checks the address first: EINVAL.
	page := uintptr(unix.Getpagesize())
	if addr < page && flags&shmRemap != 0 || addr%page != 0 && flags&unix.SHM_RND == 0 {
		return Continue
	}
	return Errno(e)
}

// Semop handles semop(semid, sops, nsops).
func Semop(c *Call) Result { return c.semop(c.int32(0), c.addr(1), c.uint32(2), Timespec, 0) }

// Semtimedop handles semtimedop(semid, sops, nsops, timeout).
func Semtimedop(f TimeFormat) Handler {
	return func(c *Call) Result { return c.semop(c.int32(0), c.addr(1), c.uint32(2), f, c.addr(3)) }
}

// sembuf is struct sembuf of <linux/sem.h>.
type sembuf struct {
	num   uint16
	op    int16
	flags int16
}

// maxSembufs is the default of SEMOPM, the maximum number of operations in a call.
const maxSembufs = 500

// semop handles a call with count operations at addr, and a timeout in the format f unless
// its address is 0.
func (c *Call) semop(id int32, addr uintptr, count uint32, f TimeFormat, timeout uintptr) Result {
	if count == 0 || !c.checksIPC() {
		return Continue
	}
	want, highest := uint32(perm.Write), uint16(0)
	if count <= maxSembufs {
		var e unix.Errno
		if want, highest, e = c.readSembufs(addr, count); e != 0 {
			return Errno(e)
		}
	}
	e := c.needsIPC(sys.Semaphores, id, want)
	if e == 0 {
		return Continue
	}
	// The kernel checks these first, in this order. They are in memory that may change, so it
	// cannot be left to find the errors.
	valid, read := c.validTimeout(f, timeout)
	switch {
	case read != 0:
		return Errno(read)
	case count > maxSembufs:
		return Errno(unix.E2BIG)
	case !valid:
		return Errno(unix.EINVAL)
	case uint64(highest) >= c.ipc.status.Count():
		return Errno(unix.EFBIG)
	}
	return Errno(e)
}

// readSembufs reads count operations at addr, and returns the permission that they need and
// the highest number of a semaphore. The error is EFAULT.
func (c *Call) readSembufs(addr uintptr, count uint32) (want uint32, highest uint16, e unix.Errno) {
	var sops [8]sembuf
	want = perm.Read
	for done := uint32(0); done < count; {
		part := sops[:min(count-done, uint32(len(sops)))]
		b := unsafe.Slice((*byte)(unsafe.Pointer(&part[0])), len(part)*int(unsafe.Sizeof(part[0])))
		if n, e := c.Target.Read(addr, b); e != 0 || n < len(b) {
			return 0, 0, unix.EFAULT
		}
		for _, s := range part {
			// semop(2): an operation that is not 0 needs "alter permission on the semaphore set".
			if s.op != 0 {
				want = perm.Write
			}
			highest = max(highest, s.num)
		}
		done += uint32(len(part))
		addr += uintptr(len(b))
	}
	return want, highest, 0
}

// validTimeout reports whether the timeout of semtimedop(2) at addr, in the format f, is
// NULL or in range. The error is EFAULT.
func (c *Call) validTimeout(f TimeFormat, addr uintptr) (bool, unix.Errno) {
	if addr == 0 {
		return true, 0
	}
	var b [16]byte
	if n, e := c.Target.Read(addr, b[:2*f.word]); e != 0 || n < 2*f.word {
		return false, unix.EFAULT
	}
	t := f.decode(b[:])
	return t.Sec >= 0 && t.Nsec >= 0 && t.Nsec < 1e9, 0
}

// Msgsnd handles msgsnd(msqid, msgp, msgsz, msgflg).
func Msgsnd(c *Call) Result { return c.msgsnd(c.int32(0), c.addr(1), uint64(c.addr(2)), 8) }

// Msgsnd32 handles msgsnd of i386.
func Msgsnd32(c *Call) Result {
	return c.msgsnd(c.int32(0), c.addr(1), uint64(int64(c.int32(2))), 4)
}

// msgsnd handles msgsnd by a program whose type long has so many bytes.
func (c *Call) msgsnd(id int32, addr uintptr, size uint64, long int) Result {
	e := c.needsIPC(sys.MessageQueue, id, perm.Write)
	if e == 0 {
		return Continue
	}
	return Errno(c.messageError(addr, size, long, e))
}

// messageError returns the error of msgsnd(2) if the message is bad, and e otherwise. The
// kernel reads the message before it looks at the queue; its memory may change, so that the
// kernel cannot be left to find the error.
func (c *Call) messageError(addr uintptr, size uint64, long int, e unix.Errno) unix.Errno {
	var raw [8]byte
	if n, e := c.Target.Read(addr, raw[:long]); e != 0 || n < long {
		return unix.EFAULT
	}
	kind := readLong(raw[:], long)
	// msgop(2): "EINVAL Invalid msqid value, or nonpositive mtype value, or invalid msgsz value
	// (less than 0 or greater than the system value MSGMAX)."
	if kind < 1 || int64(size) < 0 || size > c.maxMessage() {
		return unix.EINVAL
	}
	if !c.isReadable(addr+uintptr(long), size) {
		return unix.EFAULT
	}
	return e
}

// isReadable reports whether size bytes of the caller's memory at addr can be read.
func (c *Call) isReadable(addr uintptr, size uint64) bool {
	var b [1]byte
	page, end := uintptr(unix.Getpagesize()), addr+uintptr(size)
	for at := addr; at < end; at = at&^(page-1) + page {
		if n, e := c.Target.Read(at, b[:]); e != 0 || n == 0 {
			return false
		}
	}
	return addr <= end // otherwise there is no such memory
}

// maxMessage returns MSGMAX, the maximum size of a message.
func (c *Call) maxMessage() uint64 {
	const ipcInfo = 3
	info := &c.ipc.status.Raw // struct msginfo of <linux/msg.h>
	if _, e := c.Target.IPCControl(sys.MessageQueue, 0, ipcInfo, info); e != 0 {
		return 1<<64 - 1
	}
	return uint64(binary.NativeEndian.Uint32(info[8:]))
}

// Msgrcv handles msgrcv(msqid, msgp, msgsz, msgtyp, msgflg).
func Msgrcv(c *Call) Result {
	return c.msgrcv(c.int32(0), c.addr(1), int64(c.addr(2)), c.uint32(4))
}

// Msgrcv32 handles msgrcv of i386.
func Msgrcv32(c *Call) Result {
	return c.msgrcv(c.int32(0), c.addr(1), int64(c.int32(2)), c.uint32(4))
}

// Flags of msgrcv(2), from <linux/msg.h>.
const (
	msgExcept = 0o20000
	msgCopy   = 0o40000
)

func (c *Call) msgrcv(id int32, addr uintptr, size int64, flags uint32) Result {
	e := c.needsIPC(sys.MessageQueue, id, perm.Read)
	// msgrcv(2), MSG_COPY: "This flag must be specified in conjunction with IPC_NOWAIT", and
	// "may not both be specified" with MSG_EXCEPT.
	bad := size < 0 || flags&msgCopy != 0 && (flags&msgExcept != 0 || flags&unix.IPC_NOWAIT == 0)
	if e == 0 || bad { // EINVAL
		return Continue
	}
	// For MSG_COPY, the kernel first fills a message with what is in the buffer.
	if flags&msgCopy != 0 && !c.isReadable(addr, min(uint64(size), c.maxMessage())) {
		return Errno(unix.EFAULT)
	}
	return Errno(e)
}
