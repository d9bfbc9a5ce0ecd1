package tracee

import (
	"bytes"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxStatus is more than the part of /proc/TID/status that is of interest.
const maxStatus = 4096

// Restrained tells what may keep the task from gaining privileges by execve(2): its
// no_new_privs attribute, which if in doubt is set, and the thread that traces it, by
// the supervisor's number; 0 if none does that the supervisor sees.
func (t *Tracee) Restrained() (noNewPrivs bool, tracer uint32) {
	var name [room]byte
	_ = append(t.appendTID(name[:0]), "status\x00"...)
	return readLine(&name[0], line, b)
}

// readLine reads the value of the line "NAME: VALUE" of a file in the supervisor's
// /proc. The error is ENODATA if there is no such line.
func readLine(file *byte, line string, b *[maxStatus]byte) ([]byte, unix.Errno) {
	fd, e := openat(unix.AT_FDCWD, file, unix.O_RDONLY)
	if e != 0 {
		return true, 0
	}
	var b [maxStatus]byte
	n, _, e := syscall.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	unix.Close(fd)
	if e != 0 {
		return true, 0
	}
	// proc_pid_status(5): "TracerPid: PID of process tracing this process (0 if not
	// being traced)."
	if pid, err := strconv.ParseUint(string(valueOf(b[:n], "\nTracerPid:\t")), 10, 32); err == nil {
		tracer = uint32(pid)
	}
	return string(valueOf(b[:n], "\nNoNewPrivs:\t")) != "0", tracer
}

// valueOf returns the rest of the line of a status that starts with name.
func valueOf(status []byte, name string) []byte {
	_, rest, _ := bytes.Cut(status, []byte(name))
	value, _, _ := bytes.Cut(rest, []byte{'\n'})
	return value
}
