package target

import (
	"bytes"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// maxStatus is more than the part of /proc/TID/status that is of interest.
const maxStatus = 4096

// Restrained tells what may keep the task from gaining privileges by execve(2): its
// no_new_privs attribute, which if in doubt is set, and the thread that traces it, by
// the supervisor's number; 0 if none does that the supervisor sees.
func (t *Task) Restrained() (noNewPrivs bool, tracer uint32) {
	var b [maxStatus]byte
	status, e := t.status(&b)
	if e != 0 {
		return true, 0
	}
	// proc_pid_status(5): "TracerPid: PID of process tracing this process (0 if not
	// being traced)."
	value, _ := valueOf(status, "TracerPid")
	if pid, err := strconv.ParseUint(string(value), 10, 32); err == nil {
		tracer = uint32(pid)
	}
	value, _ = valueOf(status, "NoNewPrivs")
	return string(value) != "0", tracer
}

// status reads the task's status, see proc_pid_status(5).
func (t *Task) status(b *[maxStatus]byte) ([]byte, unix.Errno) {
	var name [prefixRoom]byte
	_ = append(t.appendTID(name[:0]), "status\x00"...)
	return readProc(&name[0], b)
}

// readProc reads a file in the supervisor's /proc.
func readProc(file *byte, b *[maxStatus]byte) ([]byte, unix.Errno) {
	fd, e := sys.Openat(unix.AT_FDCWD, file, unix.O_RDONLY, 0)
	if e != 0 {
		return nil, e
	}
	n, e := sys.Read(fd, b[:])
	unix.Close(fd)
	if e != 0 {
		return nil, e
	}
	return b[:n], 0
}

// valueOf returns the value of the line "NAME: VALUE" in text.
func valueOf(text []byte, name string) (value []byte, ok bool) {
	for line := range bytes.Lines(text) {
		if len(line) > len(name) && string(line[:len(name)]) == name && line[len(name)] == ':' {
			return bytes.TrimSpace(line[len(name)+1:]), true
		}
	}
	return nil, false
}

// Signalled tells whether a signal waits to be taken by the task, perhaps: one to its
// process may be taken by another thread.
func (t *Task) Signalled() bool {
	var b [maxStatus]byte
	status, e := t.status(&b)
	return e == 0 && signalled(status)
}

func signalled(status []byte) bool {
	return (mask(status, "SigPnd")|mask(status, "ShdPnd"))&^mask(status, "SigBlk") != 0
}

// mask returns a set of signals from /proc/TID/status.
func mask(status []byte, name string) uint64 {
	value, _ := valueOf(status, name)
	set, err := strconv.ParseUint(string(value), 16, 64)
	if err != nil {
		return 0
	}
	return set
}
