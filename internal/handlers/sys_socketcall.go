package handlers

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls of socketcall(2) that are notified, from <linux/net.h>.
const (
	SocketcallSocket     = 1
	SocketcallBind       = 2
	SocketcallConnect    = 3
	SocketcallSetsockopt = 14
	SocketcallGetsockopt = 15
	SocketcallSendmsg    = 16
	SocketcallRecvmsg    = 17
	SocketcallRecvmmsg   = 19
	SocketcallSendmmsg   = 20
)

// Socketcall handles socketcall(call, args) of i386, which C libraries built for kernels
// before Linux 4.3 use.
func Socketcall(c *Call) Result {
	var args [5]uint32
	call, count := c.uint32(0), 5
	switch call {
	case SocketcallSocket, SocketcallBind, SocketcallConnect, SocketcallSendmsg, SocketcallRecvmsg:
		count = 3
	case SocketcallSendmmsg:
		count = 4
	}
	b := unsafe.Slice((*byte)(unsafe.Pointer(&args)), 4*count)
	if n, e := c.Target.Read(c.addr(1), b); e != 0 || n < len(b) {
		return Errno(unix.EFAULT)
	}
	switch call {
	case SocketcallSocket:
		return c.socket(int32(args[0]), int32(args[1]), int32(args[2]))
	case SocketcallBind:
		return c.bind(int32(args[0]), uintptr(args[1]), args[2])
	case SocketcallConnect:
		return c.connect(int32(args[0]), uintptr(args[1]), args[2])
	case SocketcallSetsockopt:
		return c.setsockopt(int32(args[0]), int32(args[1]), int32(args[2]), uintptr(args[3]), int32(args[4]))
	case SocketcallSendmsg:
		return c.sendmsg(int32(args[0]), uintptr(args[1]), args[2], 4)
	case SocketcallRecvmsg:
		return c.recvmsg(int32(args[0]), uintptr(args[1]), args[2], 4)
	case SocketcallRecvmmsg:
		return c.recvmmsg(int32(args[0]), uintptr(args[1]), args[2], args[3], 4)
	case SocketcallSendmmsg:
		return c.sendmmsg(int32(args[0]), uintptr(args[1]), args[2], args[3], 4)
	}
	return c.getsockopt(int32(args[0]), int32(args[1]), int32(args[2]), uintptr(args[3]), uintptr(args[4]))
}
