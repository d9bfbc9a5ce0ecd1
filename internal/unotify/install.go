package unotify

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// ErrBusy says that the task already has a seccomp listener. The kernel allows
// one for each chain of filters.
var ErrBusy = errors.New("another seccomp supervisor already listens to this process (the kernel allows one): run outside of it, or without its seccomp agent")

// Install puts the filter on the calling thread and returns the listener. The
// caller must have locked its goroutine to the thread, and must hold
// CAP_SYS_ADMIN in its user namespace or have set no_new_privs. Threads and
// programs started from this thread inherit the filter.
func Install(prog []bpf.RawInstruction) (listener int, err error) {
	sock := make([]unix.SockFilter, len(prog))
	for i, ins := range prog {
		sock[i] = unix.SockFilter{Code: ins.Op, Jt: ins.Jt, Jf: ins.Jf, K: ins.K}
	}
	fprog := unix.SockFprog{Len: uint16(len(sock)), Filter: &sock[0]}
	defer runtime.KeepAlive(sock)
	// Linux 5.19: once received, a notification waits for its answer even if
	// a signal arrives; without it each signal makes the call start again.
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
