package target

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// OpenTerminal opens the task's controlling terminal, with these flags of open(2):
// ENXIO if it has none, or if it has no descriptor of it that shows where it is.
func (t *Task) OpenTerminal(flags int) (int, unix.Errno) {
	tty, ok := t.terminal()
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
			fd, err = t.share(d.Name(), flags)
		}
		if err == nil {
			return fd, 0
		}
		result = err.(unix.Errno)
	}
	return -1, result
}

// share duplicates the task's descriptor with that number, if it allows what the
// flags ask for: EACCES if not.
//
// After su(1) the terminal itself is still somebody else's, and /dev/tty can be
// opened all the same.
func (t *Task) share(number string, flags int) (int, error) {
	n, err := strconv.ParseInt(number, 10, 32)
	if err != nil {
		return -1, unix.EACCES // procfs has only numbers there
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

// terminal is the number of the task's controlling terminal, as in unix.Stat_t.
//
// proc_pid_stat(5): "(7) tty_nr: The controlling terminal of the process." It is
// the fifth field after the name, which is in parentheses, and 0 for none.
func (t *Task) terminal() (rdev uint64, ok bool) {
	var b [prefixRoom]byte
	stat, err := os.ReadFile(string(append(t.appendTID(b[:0]), "stat"...)))
	if err != nil {
		return 0, false
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 5 {
		return 0, false
	}
	// %d of the kernel's 32-bit dev_t.
	tty, err := strconv.ParseInt(string(fields[4]), 10, 64)
	return uint64(uint32(tty)), err == nil && tty != 0
}
