package unotify

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// ErrBusy means that the task already has a filter with a listener. The kernel
// allows only one in a task's chain of filters.
var ErrBusy = errors.New("another seccomp supervisor already listens to this process, and the kernel allows only one: run subuidless outside of it, or without that supervisor")

// Install installs the filter prog on the calling thread and returns its listener.
// Threads and programs that this thread starts inherit the filter. The caller must
// have locked its goroutine to the thread, and needs CAP_SYS_ADMIN in its user
// namespace or no_new_privs: see seccomp(2).
//
// The error is ErrBusy, or says what the kernel lacks.
func Install(prog []bpf.RawInstruction) (listener int, err error) {
	sock := make([]unix.SockFilter, len(prog))
	for i, ins := range prog {
		sock[i] = unix.SockFilter{Code: ins.Op, Jt: ins.Jt, Jf: ins.Jf, K: ins.K}
	}
	fprog := unix.SockFprog{Len: uint16(len(sock)), Filter: &sock[0]}
	defer runtime.KeepAlive(sock)
	// With SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (Linux 5.19), only fatal signals
	// interrupt a target once its notification has been received. Without it, any
	// signal does, and the kernel restarts the call.
	flags := uintptr(unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)
	for {
		fd, _, e := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&fprog)))
		switch {
		case e == 0:
			return int(fd), nil
		case e == unix.EINVAL && flags&unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV != 0:
			flags &^= unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
		case e == unix.EBUSY:
			return -1, ErrBusy
		case e == unix.EINVAL || e == unix.ENOSYS:
			return -1, fmt.Errorf("seccomp(SECCOMP_SET_MODE_FILTER): %w (seccomp user notification needs Linux 5.5 or later with CONFIG_SECCOMP_FILTER; see subuidless doctor)", e)
		default:
			return -1, fmt.Errorf("seccomp(SECCOMP_SET_MODE_FILTER): %w", e)
		}
	}
}
