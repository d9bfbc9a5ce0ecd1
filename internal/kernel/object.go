package kernel

import (
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/tracee"
)

// object is what a call names, before it is looked up.
type object struct {
	dirfd int32
	path  int    // the argument that is the path, or byFD
	flags uint32 // AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH
}

// byFD says that an object is the descriptor dirfd, not opened with O_PATH.
const byFD = -1

// byPath is the object at the path in argument 0.
var byPath = object{dirfd: unix.AT_FDCWD}

// byLink is the same, without following a symbolic link at its end.
var byLink = object{dirfd: unix.AT_FDCWD, flags: unix.AT_SYMLINK_NOFOLLOW}

// pathOf returns the path of o.
func (c *Call) pathOf(o object) (tracee.Path, unix.Errno) {
	switch {
	case o.path == byFD:
		return c.Tracee.FD(o.dirfd), 0
	case o.flags&^(unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH) != 0:
		return tracee.Path{}, unix.EINVAL
	}
	return c.Tracee.Path(o.dirfd, c.addr(o.path), o.flags)
}

// openObject opens the object o with O_PATH, and fills c.stat. An empty path may be
// "" only, and not NULL.
func (c *Call) openObject(o object) (int, unix.Errno) {
	if o.path == byFD {
		return c.Tracee.OpenFD(o.dirfd, &c.stat)
	}
	p, e := c.pathOf(o)
	if e == 0 && c.addr(o.path) == 0 {
		e = unix.EFAULT
	}
	if e != 0 {
		return -1, e
	}
	return c.Tracee.Open(p, &c.stat)
}

// The rest are calls on our own O_PATH descriptors, which the kernel takes by their
// names in /proc only. Names of attributes are NUL-terminated.

// selfFD is the name of a descriptor of ours, relative to the supervisor's /proc,
// which is the working directory of every thread that answers calls.
type selfFD [24]byte

func (p *selfFD) set(fd int) *byte {
	b := append(p[:0], "self/fd/"...)
	b = strconv.AppendUint(b, uint64(fd), 10)
	_ = append(b, 0)
	return &p[0]
}

func getAttribute(fd int, name *byte, value []byte) (int, unix.Errno) {
	var p selfFD
	n, _, e := syscall.RawSyscall6(unix.SYS_GETXATTR, uintptr(unsafe.Pointer(p.set(fd))), uintptr(unsafe.Pointer(name)),
		uintptr(unsafe.Pointer(unsafe.SliceData(value))), uintptr(len(value)), 0, 0)
	return int(n), e
}

func setAttribute(fd int, name *byte, value []byte, flags uint32) unix.Errno {
	var p selfFD
	_, _, e := syscall.RawSyscall6(unix.SYS_SETXATTR, uintptr(unsafe.Pointer(p.set(fd))), uintptr(unsafe.Pointer(name)),
		uintptr(unsafe.Pointer(unsafe.SliceData(value))), uintptr(len(value)), uintptr(flags), 0)
	return e
}

func removeAttribute(fd int, name *byte) unix.Errno {
	var p selfFD
	_, _, e := syscall.RawSyscall(unix.SYS_REMOVEXATTR, uintptr(unsafe.Pointer(p.set(fd))), uintptr(unsafe.Pointer(name)), 0)
	return e
}

func setMode(fd int, mode uint32) unix.Errno {
	var p selfFD
	_, _, e := syscall.RawSyscall(unix.SYS_FCHMODAT, atCwd, uintptr(unsafe.Pointer(p.set(fd))), uintptr(mode&0o7777))
	return e
}

// reopen opens with these flags of open(2) what our descriptor fd refers to.
func reopen(fd, flags int) (int, unix.Errno) {
	var p selfFD
	return openat(unix.AT_FDCWD, p.set(fd), flags, 0)
}

func setTimes(fd int, times *[2]unix.Timespec) unix.Errno {
	var p selfFD
	_, _, e := syscall.RawSyscall6(unix.SYS_UTIMENSAT, atCwd, uintptr(unsafe.Pointer(p.set(fd))), uintptr(unsafe.Pointer(times)), 0, 0, 0)
	return e
}

const atCwd = ^uintptr(-unix.AT_FDCWD - 1)
