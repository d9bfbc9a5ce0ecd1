package unotify

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// FlagAllowNestedListeners is SECCOMP_FILTER_FLAG_ALLOW_NESTED_LISTENERS: filters with listeners may
// be installed below the one with this flag, too. What the listener of the newer filter continues,
// the older one is notified of.
const FlagAllowNestedListeners = 1 << 6

// ErrBusy means that the task already has a filter with a listener. The kernel
// allows only one in a task's chain of filters, unless all have FlagAllowNestedListeners.
var ErrBusy = errors.New("another seccomp supervisor already listens to this process, and the kernel allows only one: run subuidless outside of it, or without that supervisor")

// Install installs the filter prog on the calling thread and returns its listener.
// Threads and programs that this thread starts inherit the filter. The caller must
// have locked its goroutine to the thread, and needs CAP_SYS_ADMIN in its user
// namespace or no_new_privs: see seccomp(2).
//
// The error is ErrBusy, or says what the kernel lacks.
func Install(prog []bpf.RawInstruction) (listener int, err error) {
	fprog := kernelProgram(prog)
	defer runtime.KeepAlive(fprog)
	// With SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (Linux 5.19), only fatal signals
	// interrupt a target once its notification has been received. Without it, any
	// signal does, and the kernel restarts the call.
	optional := []uintptr{FlagAllowNestedListeners, unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV} // the newest first
	flags := uintptr(unix.SECCOMP_FILTER_FLAG_NEW_LISTENER)
	for _, f := range optional {
		flags |= f
	}
	for {
		fd, _, e := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(fprog)))
		switch {
		case e == 0:
			return int(fd), nil
		case e == unix.EINVAL && len(optional) > 0:
			flags &^= optional[0]
			optional = optional[1:]
		case e == unix.EBUSY:
			return -1, ErrBusy
		case e == unix.EINVAL || e == unix.ENOSYS:
			return -1, fmt.Errorf("seccomp(SECCOMP_SET_MODE_FILTER): %w (seccomp user notification needs Linux 5.5 or later with CONFIG_SECCOMP_FILTER; see subuidless doctor)", e)
		default:
			return -1, fmt.Errorf("seccomp(SECCOMP_SET_MODE_FILTER): %w", e)
		}
	}
}

// Confine installs the filter prog, which has no listener, on all threads of this process. Programs
// that they start inherit it. It sets no_new_privs, which the kernel requires of callers without
// CAP_SYS_ADMIN: see seccomp(2).
func Confine(prog []bpf.RawInstruction) error {
	// The kernel sets it for the other threads together with the filter.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("prctl(PR_SET_NO_NEW_PRIVS): %w", err)
	}
	fprog := kernelProgram(prog)
	defer runtime.KeepAlive(fprog)
	tid, _, e := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(fprog)))
	switch {
	case e != 0:
		return fmt.Errorf("seccomp(SECCOMP_SET_MODE_FILTER): %w", e)
	case tid != 0:
		return fmt.Errorf("seccomp(SECCOMP_SET_MODE_FILTER): thread %d has another filter", tid)
	}
	return nil
}

// kernelProgram returns prog as the kernel wants it.
func kernelProgram(prog []bpf.RawInstruction) *unix.SockFprog {
	sock := make([]unix.SockFilter, len(prog))
	for i, ins := range prog {
		sock[i] = unix.SockFilter{Code: ins.Op, Jt: ins.Jt, Jf: ins.Jf, K: ins.K}
	}
	return &unix.SockFprog{Len: uint16(len(sock)), Filter: &sock[0]}
}
