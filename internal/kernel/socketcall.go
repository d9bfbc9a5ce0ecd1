package kernel

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls of socketcall(2) that are notified, from <linux/net.h>.
const (
	SocketcallBind       = 2
	SocketcallConnect    = 3
	SocketcallGetsockopt = 15
)

// Socketcall answers socketcall(call, args) of i386, which C libraries made for
// kernels before Linux 4.3 use.
func Socketcall(c *Call) Result {
	var args [5]uint32
	count := 3
	if c.uint32(0) == SocketcallGetsockopt {
		count = 5
	}
	b := unsafe.Slice((*byte)(unsafe.Pointer(&args)), 4*count)
	if n, e := c.Tracee.Read(c.addr(1), b); e != 0 || n < len(b) {
		return Errno(unix.EFAULT)
	}
	switch c.uint32(0) {
	case SocketcallGetsockopt:
		return c.getsockopt(int32(args[0]), int32(args[1]), int32(args[2]), uintptr(args[3]), uintptr(args[4]))
	case SocketcallConnect:
		return c.connect(int32(args[0]), uintptr(args[1]), args[2])
	}
	return c.bind(int32(args[0]), uintptr(args[1]), args[2])
}
