package kernel

import "unsafe"

// The numbers that socketcall(2) gives calls, <linux/net.h>.
const (
	SocketcallBind       = 2
	SocketcallGetsockopt = 15
)

// Socketcall answers socketcall(call, args) of i386, by which C libraries that also
// run before Linux 4.3 make all calls on sockets.
func Socketcall(c *Call) Result {
	var args [5]uint32
	n := 3
	if c.uint32(0) == SocketcallGetsockopt {
		n = 5
	}
	b := unsafe.Slice((*byte)(unsafe.Pointer(&args)), 4*n)
	if got, e := c.Tracee.Read(c.addr(1), b); e != 0 || got < len(b) {
		return Continue // EFAULT
	}
	switch c.uint32(0) {
	case SocketcallBind:
		return c.bind(int32(args[0]), uintptr(args[1]), args[2])
	case SocketcallGetsockopt:
		return c.getsockopt(int32(args[0]), int32(args[1]), int32(args[2]), uintptr(args[3]), uintptr(args[4]))
	}
	return Continue
}
