package kernel

import (
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// selfFD is the path of one of our own descriptors, for calls that take no O_PATH
// ones. It is relative to the supervisor's /proc, which is the working directory
// of every thread that answers calls.
type selfFD [24]byte

func (p *selfFD) set(fd int) *byte {
	b := append(p[:0], "self/fd/"...)
	b = strconv.AppendUint(b, uint64(fd), 10)
	_ = append(b, 0)
	return &p[0]
}

// getAttribute is fgetxattr(2) for O_PATH descriptors. Name is NUL-terminated.
func getAttribute(fd int, name *byte, value []byte) (int, unix.Errno) {
	var p selfFD
	n, _, e := syscall.RawSyscall6(unix.SYS_GETXATTR, uintptr(unsafe.Pointer(p.set(fd))), uintptr(unsafe.Pointer(name)),
		uintptr(unsafe.Pointer(unsafe.SliceData(value))), uintptr(len(value)), 0, 0)
	return int(n), e
}
