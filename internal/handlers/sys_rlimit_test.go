package handlers

import (
	"testing"

	"golang.org/x/sys/unix"
)

// Limits of tasks outside of the container never encode identities.
func TestPrlimitOutside(t *testing.T) {
	c := newCaller(t)
	limits := make([]byte, 16)
	if r := c.do(Prlimit, 1<<30, unix.RLIMIT_LOCKS, limits, 0); r.Errno != unix.ESRCH {
		t.Errorf("no process: %+v, want ESRCH", r)
	}
	// The parent is outside of the user namespace.
	if r := c.do(Prlimit, unix.Getppid(), unix.RLIMIT_LOCKS, limits, 0); r.Errno != unix.EPERM {
		t.Errorf("a process outside: %+v, want EPERM", r)
	}
}
