package kernel

import (
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// System calls as the handlers make them: with NUL-terminated paths, and without
// allocating.

const atCwd = ^uintptr(-unix.AT_FDCWD - 1)

func statx(dirfd int, path *byte, flags, mask int, st *unix.Statx_t) unix.Errno {
	_, _, e := syscall.RawSyscall6(unix.SYS_STATX, uintptr(dirfd), uintptr(unsafe.Pointer(path)),
		uintptr(flags), uintptr(mask), uintptr(unsafe.Pointer(st)), 0)
	return e
}

func openat(dirfd int, path *byte, flags int, mode uint32) (int, unix.Errno) {
	fd, _, e := syscall.RawSyscall6(unix.SYS_OPENAT, uintptr(dirfd), uintptr(unsafe.Pointer(path)), uintptr(flags), uintptr(mode), 0, 0)
	if e != 0 {
		return -1, e
	}
	return int(fd), 0
}

func fstatfs(fd int, fs *unix.Statfs_t) unix.Errno {
	_, _, e := syscall.RawSyscall(unix.SYS_FSTATFS, uintptr(fd), uintptr(unsafe.Pointer(fs)), 0)
	return e
}

// The following are calls on our own O_PATH descriptors, which the kernel takes by
// their names in /proc only. Names of attributes are NUL-terminated.

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

// lgetAttribute asks for an attribute of what path names, without following a link at its end.
func lgetAttribute(path, name *byte) unix.Errno {
	_, _, e := syscall.RawSyscall6(unix.SYS_LGETXATTR, uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(name)), 0, 0, 0, 0)
	return e
}

// lacksAttribute tells whether e is the error of an attribute that is not there.
func lacksAttribute(e unix.Errno) bool { return e == unix.ENODATA || e == unix.EOPNOTSUPP }

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
