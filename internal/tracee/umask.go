package tracee

import (
	"bytes"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// AdoptUmask makes the task's file mode creation mask that of the calling thread,
// so that the kernel applies it, or a default ACL in its place, to what the
// thread makes. The error is ESRCH if the task is gone.
func (t *Tracee) AdoptUmask() unix.Errno {
	mask, e := t.umask()
	if e == 0 {
		syscall.RawSyscall(unix.SYS_UMASK, uintptr(mask), 0, 0)
	}
	return e
}

// umask reads the task's mask. proc_pid_status(5): "Umask: Process umask,
// expressed in octal with a leading zero". It is the second line, after the
// name of at most 64 bytes.
func (t *Tracee) umask() (uint32, unix.Errno) {
	var b [room]byte
	_ = append(t.appendTID(b[:0]), "status\x00"...)
	fd, e := openat(unix.AT_FDCWD, &b[0], unix.O_RDONLY)
	if e != 0 {
		return 0, unix.ESRCH
	}
	var status [128]byte
	n, _, e := syscall.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&status[0])), uintptr(len(status)))
	unix.Close(fd)
	if e != 0 {
		return 0, unix.ESRCH
	}
	_, octal, found := bytes.Cut(status[:n], []byte("\nUmask:\t"))
	if !found {
		return 0, unix.ESRCH
	}
	var mask uint32
	for _, c := range octal {
		if c < '0' || c > '7' {
			break
		}
		mask = mask<<3 | uint32(c-'0')
	}
	return mask, 0
}
