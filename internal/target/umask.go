package target

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// AdoptUmask sets the receiver's file mode creation mask to the task's, so that the
// kernel applies it, or a default ACL instead, to inodes that the receiver makes: see
// umask(2). The error is ESRCH if the task is gone.
func (t *Task) AdoptUmask() unix.Errno {
	mask, e := t.umask()
	if e == 0 {
		sys.Umask(mask)
	}
	return e
}

// umask reads the task's mask. proc_pid_status(5): "Umask: Process umask,
// expressed in octal with a leading zero".
func (t *Task) umask() (uint32, unix.Errno) {
	var b [maxStatus]byte
	status, e := t.status(&b)
	if e != 0 {
		return 0, unix.ESRCH
	}
	octal, ok := valueOf(status, "Umask")
	if !ok {
		return 0, unix.ESRCH // a zombie has none
	}
	var mask uint32
	for _, c := range octal {
		mask = mask<<3 | uint32(c-'0')
	}
	return mask, 0
}
