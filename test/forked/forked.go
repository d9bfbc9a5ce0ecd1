// Package forked tells processes that are only forked from those that run a program of their own.
package forked

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// HasExecuted reports whether a process has executed a program since it was forked. Until then, it
// shows the command line of its parent. It is false for a process that has ended.
func HasExecuted(pid int) bool {
	const forkNoExec = 0x40                                   // PF_FORKNOEXEC in <linux/sched.h>
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)) // an error means that it has ended
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 7 {
		return false
	}
	flags, err := strconv.ParseUint(string(fields[6]), 10, 64)
	return err == nil && flags&forkNoExec == 0
}
