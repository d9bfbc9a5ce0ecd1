package target

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// OpenTerminal opens the task's controlling terminal with flags of open(2), as open(2) of
// /dev/tty does: see tty(4). It finds the terminal by the task's descriptors of it. The
// error is ENXIO if the task has no controlling terminal, or no descriptor of it.
func (t *Task) OpenTerminal(flags int) (int, unix.Errno) {
	tty, ok := t.controllingTerminal()
	if !ok {
		return -1, unix.ENXIO
	}
	var b [prefixRoom]byte
	dir := string(append(t.appendTID(b[:0]), "fd"...))
	descriptors, err := os.ReadDir(dir)
	if err != nil {
		return -1, unix.ENXIO // the task is gone
	}
	result := unix.ENXIO
	for _, d := range descriptors {
		path := dir + "/" + d.Name()
		var st unix.Stat_t
		if unix.Stat(path, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != tty {
			continue
		}
		fd, err := unix.Open(path, flags, 0)
		if err == unix.EACCES {
			fd, err = t.dupTerminal(d.Name(), flags)
		}
		if err == nil {
			return fd, 0
		}
		result = err.(unix.Errno)
	}
	return -1, result
}

// dupTerminal duplicates the task's descriptor with the given number if its access mode
// includes that of flags. Otherwise the error is EACCES.
//
// After su(1) the terminal still belongs to another user, but /dev/tty can be opened.
func (t *Task) dupTerminal(number string, flags int) (int, error) {
	n, err := strconv.ParseInt(number, 10, 32)
	if err != nil {
		return -1, unix.EACCES // cannot happen in /proc/TID/fd
	}
	fd, e := t.Dup(int32(n))
	if e != 0 {
		return -1, unix.EACCES
	}
	has, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err == nil && has&unix.O_ACCMODE != unix.O_RDWR && has&unix.O_ACCMODE != flags&unix.O_ACCMODE {
		err = unix.EACCES
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// controllingTerminal returns the device number of the task's controlling terminal, as
// in unix.Stat_t.Rdev. Ok is false if it has none.
//
// proc_pid_stat(5): "(7) tty_nr: The controlling terminal of the process." It is
// the fifth field after the name, which is in parentheses, and 0 for none.
func (t *Task) controllingTerminal() (rdev uint64, ok bool) {
	var b [prefixRoom]byte
	stat, err := os.ReadFile(string(append(t.appendTID(b[:0]), "stat"...)))
	if err != nil {
		return 0, false
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 5 {
		return 0, false
	}
	// The kernel prints its 32-bit dev_t as a signed number.
	tty, err := strconv.ParseInt(string(fields[4]), 10, 64)
	return uint64(uint32(tty)), err == nil && tty != 0
}
