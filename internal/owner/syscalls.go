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

// object is what the descriptor fd refers to. The calls on descriptors take no O_PATH
// ones (getxattrat(2) with AT_EMPTY_PATH neither: EBADF). For such a one, as the
// first call finds out, path is its name in the supervisor's /proc, which is the
// working directory of every thread that uses a Store.
type object struct {
	fd     int
	byPath bool
	path   [24]byte
}

// named tells whether a call is to be made again, by path, after its error e.
func (o *object) named(e unix.Errno) bool {
	if e != unix.EBADF || o.byPath {
		return false
	}
	b := strconv.AppendUint(append(o.path[:0], "self/fd/"...), uint64(o.fd), 10)
	_ = append(b, 0)
	o.byPath = true
	return true
}

// call makes an attribute's system call: fd if the object has an ordinary
// descriptor, path else.
func (o *object) call(fd, path uintptr, value []byte, flags int) (int, unix.Errno) {
	for {
		nr, at := fd, uintptr(o.fd)
		if o.byPath {
			nr, at = path, uintptr(unsafe.Pointer(&o.path[0]))
		}
		n, _, e := syscall.RawSyscall6(nr, at, uintptr(unsafe.Pointer(&name[0])),
			uintptr(unsafe.Pointer(unsafe.SliceData(value))), uintptr(len(value)), uintptr(flags), 0)
		if !o.named(e) {
			return int(n), e
		}
	}
}

func (o *object) getxattr(value []byte) (int, unix.Errno) {
	return o.call(unix.SYS_FGETXATTR, unix.SYS_GETXATTR, value, 0)
}

func (o *object) setxattr(value []byte, flags int) unix.Errno {
	_, e := o.call(unix.SYS_FSETXATTR, unix.SYS_SETXATTR, value, flags)
	return e
}

func (o *object) removexattr() unix.Errno {
	_, e := o.call(unix.SYS_FREMOVEXATTR, unix.SYS_REMOVEXATTR, nil, 0)
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
