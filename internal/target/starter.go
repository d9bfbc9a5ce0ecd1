package target

import (
	"bytes"
	"os"
	"strconv"
)

// Starter returns the process that has started the task with the environment variable name, its
// parent, as a process id in the supervisor's PID namespace. Ok is false if the task has been
// started without the variable, or the parent is not visible.
func (t *Task) Starter(name string) (pid uint32, ok bool) {
	// The supervisor's working directory is /proc.
	environ, err := os.ReadFile(strconv.FormatUint(uint64(t.TID), 10) + "/environ")
	if err != nil {
		return 0, false
	}
	prefix := []byte("\x00" + name + "=")
	if !bytes.HasPrefix(environ, prefix[1:]) && !bytes.Contains(environ, prefix) {
		return 0, false
	}
	var b [maxStatus]byte
	status, e := t.status(&b)
	if e != 0 {
		return 0, false
	}
	value, _ := valueOf(status, "PPid")
	parent, err := strconv.ParseUint(string(value), 10, 32)
	return uint32(parent), err == nil && parent != 0
}
