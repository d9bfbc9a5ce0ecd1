package target

import (
	"bytes"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// maxStatus is how much of a file in /proc is read, in bytes. Every field that is used
// here is in the first 4 KiB.
const maxStatus = 4096

// Restrained returns what may keep the task from gaining privileges by execve(2): its
// no_new_privs attribute, and its tracer as a thread id in the supervisor's PID
// namespace. Tracer is 0 if no thread that the supervisor can see traces the task. If
// the task's status cannot be read, noNewPrivs is true.
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

// status reads /proc/TID/status into b: see proc_pid_status(5).
func (t *Task) status(b *[maxStatus]byte) ([]byte, unix.Errno) {
	var name [prefixRoom]byte
	_ = append(t.appendTID(name[:0]), "status\x00"...)
	return readProc(&name[0], b)
}

// Position returns the position of the supervisor's descriptor fd, as lseek(2) does, without calling
// the file system: see proc_pid_fdinfo(5).
func Position(fd int) (int64, unix.Errno) {
	var name [prefixRoom]byte
	_ = append(strconv.AppendInt(append(name[:0], "self/fdinfo/"...), int64(fd), 10), 0)
	var b [maxStatus]byte
	info, e := readProc(&name[0], &b)
	if e != 0 {
		return 0, e
	}
	value, _ := valueOf(info, "pos")
	at, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil {
		return 0, unix.EIO
	}
	return at, 0
}

// readProc reads the start of a file into b. A relative path starts from the supervisor's
// /proc.
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
	for len(text) > 0 { // bytes.Lines would move the caller's buffer to the heap
		var line []byte
		line, text, _ = bytes.Cut(text, newline)
		if len(line) > len(name) && string(line[:len(name)]) == name && line[len(name)] == ':' {
			return bytes.TrimSpace(line[len(name)+1:]), true
		}
	}
	return nil, false
}

var newline = []byte{'\n'}

// Signalled reports whether a signal is pending that the task does not block: see
// signal(7). A signal that is pending for the process may be delivered to another thread
// instead.
func (t *Task) Signalled() bool {
	var b [maxStatus]byte
	status, e := t.status(&b)
	return e == 0 && hasPendingSignal(status)
}

// PendingSignal is Signalled, and reports whether the task itself will handle the signal: if not,
// another thread may.
func (t *Task) PendingSignal() (signalled, own bool) {
	var b [maxStatus]byte
	status, e := t.status(&b)
	if e != 0 || !hasPendingSignal(status) {
		return false, false
	}
	threads, _ := valueOf(status, "Threads")
	return true, string(threads) == "1" || signalSet(status, "SigPnd")&^signalSet(status, "SigBlk") != 0
}

// hasPendingSignal is Signalled for the text of /proc/TID/status.
func hasPendingSignal(status []byte) bool {
	return (signalSet(status, "SigPnd")|signalSet(status, "ShdPnd"))&^signalSet(status, "SigBlk") != 0
}

// signalSet returns the signal mask in the line name of /proc/TID/status, 0 if there is
// none. Bit n is signal n+1.
func signalSet(status []byte, name string) uint64 {
	value, _ := valueOf(status, name)
	set, err := strconv.ParseUint(string(value), 16, 64)
	if err != nil {
		return 0
	}
	return set
}
