package target

import (
	"bytes"
	"strconv"

	"golang.org/x/sys/unix"
)

// StartTime tells when the task was started, in clock ticks since the boot: with it, a
// thread id that is used again is another task's. The error is ESRCH if it is gone.
func (t *Task) StartTime() (uint64, unix.Errno) {
	var name [prefixRoom]byte
	_ = append(t.appendTID(name[:0]), "stat\x00"...)
	var b [maxStatus]byte
	stat, e := readProc(&name[0], &b)
	if e != 0 {
		return 0, unix.ESRCH
	}
	// proc_pid_stat(5): "(2) comm [...] in parentheses", which may have any character in
	// it, and "(22) starttime".
	stat = stat[bytes.LastIndexByte(stat, ')')+1:]
	for range 22 - 3 {
		_, stat, _ = bytes.Cut(bytes.TrimLeft(stat, " "), space)
	}
	field, _, _ := bytes.Cut(stat, space)
	ticks, err := strconv.ParseUint(string(field), 10, 64)
	if err != nil {
		return 0, unix.ESRCH
	}
	return ticks, 0
}

var space = []byte{' '}
