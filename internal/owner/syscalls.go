package owner

import (
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The wrappers of golang.org/x/sys/unix copy and allocate each path; these take
// NUL-terminated ones, and nothing else.

var (
	empty = [1]byte{0}
	name  = [...]byte{'u', 's', 'e', 'r', '.', 'r', 'o', 'o', 't', 'l', 'e', 's', 's', 'c', 'o', 'n', 't', 'a', 'i', 'n', 'e', 'r', 's', 0}
)

func getxattr(path *byte, follow bool, value []byte) (int, unix.Errno) {
	nr := uintptr(unix.SYS_LGETXATTR)
	if follow {
		nr = unix.SYS_GETXATTR
	}
	n, _, e := syscall.RawSyscall6(nr, uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(&name[0])),
		uintptr(unsafe.Pointer(unsafe.SliceData(value))), uintptr(len(value)), 0, 0)
	return int(n), e
}

// fdPath is the path of an O_PATH descriptor, for calls that take no such
// descriptors (getxattrat(2) with AT_EMPTY_PATH neither: EBADF). It is relative to the supervisor's /proc, which is the working
// directory of every thread that uses a Store.
type fdPath [24]byte

func (p *fdPath) set(fd int) *byte {
	b := append(p[:0], "self/fd/"...)
	b = strconv.AppendUint(b, uint64(fd), 10)
	_ = append(b, 0)
	return &p[0]
}

// The calls on descriptors take O_PATH ones too.

func fgetxattr(fd int, value []byte) (int, unix.Errno) {
	n, _, e := syscall.RawSyscall6(unix.SYS_FGETXATTR, uintptr(fd), uintptr(unsafe.Pointer(&name[0])),
		uintptr(unsafe.Pointer(unsafe.SliceData(value))), uintptr(len(value)), 0, 0)
	if e != unix.EBADF {
		return int(n), e
	}
	var p fdPath
	return getxattr(p.set(fd), true, value)
}

func fsetxattr(fd int, value []byte, flags int) unix.Errno {
	_, _, e := syscall.RawSyscall6(unix.SYS_FSETXATTR, uintptr(fd), uintptr(unsafe.Pointer(&name[0])),
		uintptr(unsafe.Pointer(unsafe.SliceData(value))), uintptr(len(value)), uintptr(flags), 0)
	if e != unix.EBADF {
		return e
	}
	var p fdPath
	_, _, e = syscall.RawSyscall6(unix.SYS_SETXATTR, uintptr(unsafe.Pointer(p.set(fd))), uintptr(unsafe.Pointer(&name[0])),
		uintptr(unsafe.Pointer(unsafe.SliceData(value))), uintptr(len(value)), uintptr(flags), 0)
	return e
}

func fremovexattr(fd int) unix.Errno {
	_, _, e := syscall.RawSyscall(unix.SYS_FREMOVEXATTR, uintptr(fd), uintptr(unsafe.Pointer(&name[0])), 0)
	if e != unix.EBADF {
		return e
	}
	var p fdPath
	_, _, e = syscall.RawSyscall(unix.SYS_REMOVEXATTR, uintptr(unsafe.Pointer(p.set(fd))), uintptr(unsafe.Pointer(&name[0])), 0)
	return e
}

func statx(dirfd int, path *byte, flags, mask int, st *unix.Statx_t) unix.Errno {
	_, _, e := syscall.RawSyscall6(unix.SYS_STATX, uintptr(dirfd), uintptr(unsafe.Pointer(path)),
		uintptr(flags), uintptr(mask), uintptr(unsafe.Pointer(st)), 0)
	return e
}

func symlinkat(target *byte, dirfd int, path *byte) unix.Errno {
	_, _, e := syscall.RawSyscall(unix.SYS_SYMLINKAT, uintptr(unsafe.Pointer(target)), uintptr(dirfd), uintptr(unsafe.Pointer(path)))
	return e
}

func unlinkat(dirfd int, path *byte) unix.Errno {
	_, _, e := syscall.RawSyscall(unix.SYS_UNLINKAT, uintptr(dirfd), uintptr(unsafe.Pointer(path)), 0)
	return e
}
