package handlers

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// A worker that died may have bound the socket already.
func TestBindPortAgain(t *testing.T) {
	c := newCaller(t)
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil { // nobody else uses ports there
		t.Fatal(err)
	}
	sock, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(sock)
	if r := c.do(Setresuid, 1, 1, 1); r.Errno != 0 {
		t.Fatal(r.Errno)
	}
	sa := unix.RawSockaddrInet4{Family: unix.AF_INET, Port: 0x2723} // 8999, in network byte order
	other := sa
	other.Port = 0x2823
	bind := func(sa *unix.RawSockaddrInet4) Result {
		c.call.Begin()
		b := unsafe.Slice((*byte)(unsafe.Pointer(sa)), unix.SizeofSockaddrInet4)
		return c.do(Bind, sock, b, len(b))
	}
	for _, test := range []struct {
		name  string
		sa    *unix.RawSockaddrInet4
		again bool
		want  unix.Errno
	}{
		{"first", &sa, false, 0},
		{"second", &sa, false, unix.EINVAL},
		{"again", &sa, true, 0},
		{"again, to another port", &other, true, unix.EINVAL},
	} {
		c.call.Again = test.again
		if r := bind(test.sa); r != Errno(test.want) {
			t.Errorf("%s: %+v, want %v", test.name, r, test.want)
		}
	}
	// with the arguments of the last call
	if n := testing.AllocsPerRun(100, func() {
		c.call.Begin()
		_ = Bind(&c.call)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	var s sys.Capabilities
	if e := sys.Capget(&s); e != 0 || s[0].Effective != s[0].Permitted {
		t.Errorf("capabilities afterwards: %+v, %v", s, e)
	}
}
