package tracee

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// OpenTerminal opens the task's controlling terminal, with these flags of open(2):
// ENXIO if it has none, or if it has no descriptor of it that shows where it is.
func (t *Tracee) OpenTerminal(flags int) (int, unix.Errno) {
	tty, ok := t.terminal()
	if !ok {
		return -1, unix.ENXIO
	}
	var b [room]byte
	dir := string(append(t.appendTID(b[:0]), "fd"...))
	descriptors, err := os.ReadDir(dir)
	if err != nil {
		return -1, unix.ENXIO // the task is gone
	}
	for _, d := range descriptors {
		path := dir + "/" + d.Name()
		var st unix.Stat_t
		if unix.Stat(path, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == tty {
			fd, err := unix.Open(path, flags, 0)
			if err != nil {
				return -1, err.(unix.Errno)
			}
			return fd, 0
		}
	}
	return -1, unix.ENXIO
}

// terminal is the number of the task's controlling terminal, as in unix.Stat_t.
//
// proc_pid_stat(5): "(7) tty_nr: The controlling terminal of the process." It is
// the fifth field after the name, which is in parentheses, and 0 for none.
func (t *Tracee) terminal() (rdev uint64, ok bool) {
	var b [room]byte
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
