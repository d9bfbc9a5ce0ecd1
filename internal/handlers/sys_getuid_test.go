package handlers

import (
	"testing"
)

// Programs ask for their ids more often than for anything else.
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

// The kernel answers as long as no task has changed its identity.
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
