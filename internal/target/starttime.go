package target

import (
	"bytes"
	"strconv"

	"golang.org/x/sys/unix"
)

// StartTime returns when the task started, in clock ticks since boot. Together with the
// thread id it identifies the task, as thread ids are reused. The error is ESRCH if the
// task is gone.
func (t *Task) StartTime() (uint64, unix.Errno) {
	var name [prefixRoom]byte
	_ = append(t.appendTID(name[:0]), "stat\x00"...)
	var b [maxStatus]byte
	stat, e := readProc(&name[0], &b)
	if e != 0 {
		return 0, unix.ESRCH
	}
	// proc_pid_stat(5): "(22) starttime" comes after "(2) comm [...] in parentheses", which
	// may contain spaces and parentheses itself.
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
