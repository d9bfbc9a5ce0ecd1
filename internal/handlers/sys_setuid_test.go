package handlers

import (
	"testing"

	"golang.org/x/sys/unix"
)

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
		// It need not have changed it.
		c.call.ID++
		if r := c.do(h, 43); r != Return(42) {
			t.Errorf("%s after a worker that had not begun: %+v, want 42", name, r)
		}
	}
	if s := c.call.identity(); s.UID.FS != 43 || s.GID.FS != 43 {
		t.Errorf("%+v", s)
	}
}

// A caller that was killed has no privileges.
func TestDeadCaller(t *testing.T) {
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
