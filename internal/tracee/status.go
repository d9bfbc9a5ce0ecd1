package tracee

import (
	"bytes"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxStatus is more than the part of /proc/TID/status that is of interest.
const maxStatus = 4096

// status reads the value of a line of the task's status, see proc_pid_status(5).
func (t *Tracee) status(line string, b *[maxStatus]byte) ([]byte, unix.Errno) {
	var name [room]byte
	_ = append(t.appendTID(name[:0]), "status\x00"...)
	return readLine(&name[0], line, b)
}

// readLine reads the value of the line "NAME: VALUE" of a file in the supervisor's
// /proc. The error is ENODATA if there is no such line.
func readLine(file *byte, line string, b *[maxStatus]byte) ([]byte, unix.Errno) {
	fd, e := openat(unix.AT_FDCWD, file, unix.O_RDONLY)
	if e != 0 {
		return nil, e
	}
	n, _, e := syscall.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	unix.Close(fd)
	if e != 0 {
		return nil, e
	}
	for rest := b[:n]; len(rest) > 0; {
		var l []byte
		l, rest, _ = bytes.Cut(rest, []byte{'\n'})
		if len(l) > len(line) && string(l[:len(line)]) == line && l[len(line)] == ':' {
			return bytes.TrimSpace(l[len(line)+1:]), 0
		}
	}
	return nil, unix.ENODATA
}

// NoNewPrivs tells whether the task's no_new_privs attribute is set, and if in
// doubt that it is.
func (t *Tracee) NoNewPrivs() bool {
	var b [maxStatus]byte
	value, e := t.status("NoNewPrivs", &b)
	return e != 0 || string(value) != "0"
}
