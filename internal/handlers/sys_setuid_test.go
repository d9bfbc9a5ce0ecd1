package handlers

import (
	"testing"

	"golang.org/x/sys/unix"
)

// Who the caller is, is asked more often than anything else is.
func TestGettersAllocateNothing(t *testing.T) {
	c := newCaller(t)
	b := make([]byte, 64)
	if r := c.do(Setresuid, 1, 2, 3); r.Errno != 0 {
		t.Fatal(r.Errno)
	}
	c.call.Begin()
	for name, tt := range map[string]struct {
		handler Handler
		val     int64
	}{
		"getuid": {Getuid, 1}, "geteuid": {Geteuid, 2}, "getegid": {Getegid, 0},
		"getresuid": {Getresuid, 0}, "getgroups": {Getgroups, 0},
	} {
		c.do(tt.handler, b, b[4:], b[8:])
		if name == "getgroups" {
			c.do(tt.handler, 16, b)
		}
		if r := tt.handler(&c.call); r.Errno != 0 || r.Val != tt.val || r.Continue {
			t.Errorf("%s: %+v, want %d", name, r, tt.val)
		}
		if n := testing.AllocsPerRun(100, func() {
			c.call.Begin()
			_ = tt.handler(&c.call)
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// A worker that died may have changed the id already.
func TestSetfsuidAgain(t *testing.T) {
	c := newCaller(t)
	for name, h := range map[string]Handler{"setfsuid": Setfsuid, "setfsgid": Setfsgid} {
		c.call.ID++
		c.call.Again = false
		for range 2 {
			c.call.Begin()
			if r := c.do(h, 42); r != Return(0) {
				t.Errorf("%s, again %t: %+v, want 0", name, c.call.Again, r)
			}
			c.call.Again = true
		}
		// Nor has it always.
		c.call.ID++
		if r := c.do(h, 43); r != Return(42) {
			t.Errorf("%s of a worker that comes after one that had not begun: %+v, want 42", name, r)
		}
	}
	if s := c.call.identity(); s.UID.FS != 43 || s.GID.FS != 43 {
		t.Errorf("%+v", s)
	}
}

// As long as nobody is anybody else, the kernel answers.
func TestGettersContinue(t *testing.T) {
	c := newCaller(t)
	for name, h := range map[string]Handler{"getuid": Getuid, "getresgid": Getresgid, "capget": Capget, "getrlimit": Getrlimit} {
		if r := c.do(h, 0, 0, 0); r != Continue {
			t.Errorf("%s: %+v, want to continue", name, r)
		}
	}
	if r := c.do(Setresuid, 0, -1, 0); r != (Result{}) || c.call.Identities.InUse() {
		t.Errorf("setresuid that changes nothing: %+v", r)
	}
	if r := c.do(Getgroups, 0, 0); r != (Result{}) {
		t.Errorf("getgroups: %+v, want 0", r)
	}
}

// Nothing of ours is put into the limits of what is outside of the container.
func TestPrlimitOutside(t *testing.T) {
	c := newCaller(t)
	limits := make([]byte, 16)
	if r := c.do(Prlimit, 1<<30, unix.RLIMIT_LOCKS, limits, 0); r.Errno != unix.ESRCH {
		t.Errorf("no process: %+v, want ESRCH", r)
	}
	// The parent has started the user namespace.
	if r := c.do(Prlimit, unix.Getppid(), unix.RLIMIT_LOCKS, limits, 0); r.Errno != unix.EPERM {
		t.Errorf("a process outside: %+v, want EPERM", r)
	}
}

// A caller that was killed has no privileges.
func TestCallerIsGone(t *testing.T) {
	c := newCaller(t)
	if r := c.do(Setresuid, 1, 2, 3); r.Errno != 0 {
		t.Fatal(r.Errno)
	}
	c.call.PID = 1 << 30
	c.call.Begin()
	if s := c.call.identity(); s.Capable(unix.CAP_CHOWN) || s.UID.FS == 0 {
		t.Errorf("%+v", s)
	}
	if r := c.do(Setuid, 4); r.Errno != unix.EPERM {
		t.Errorf("setuid: %+v, want EPERM", r)
	}
}
