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
	fprog := KernelProgram(prog)
	defer runtime.KeepAlive(fprog)
	for flags := InstallFlags(); ; flags = flags[1:] {
		fd, _, e := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags[0], uintptr(unsafe.Pointer(fprog)))
		switch {
		case e == 0:
			return int(fd), nil
		case e == unix.EINVAL && len(flags) > 1:
		case e == unix.EBUSY:
			return -1, ErrBusy
		case e == unix.EINVAL || e == unix.ENOSYS:
			return -1, fmt.Errorf("seccomp(SECCOMP_SET_MODE_FILTER): %w (seccomp user notification needs Linux 5.5 or later with CONFIG_SECCOMP_FILTER; see subuidless doctor)", e)
		default:
			return -1, fmt.Errorf("seccomp(SECCOMP_SET_MODE_FILTER): %w", e)
		}
	}
}

// InstallFlags returns the flags with which a filter gets a listener, the best ones first. The kernel
// answers EINVAL to those that it does not know: seccomp(2).
func InstallFlags() []uintptr {
	// With SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (Linux 5.19), only fatal signals
	// interrupt a target once its notification has been received. Without it, any
	// signal does, and the kernel restarts the call.
	const listener, killable = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
	return []uintptr{listener | killable | FlagAllowNestedListeners, listener | killable, listener}
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
	fprog := KernelProgram(prog)
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

// KernelProgram returns prog as the kernel wants it.
func KernelProgram(prog []bpf.RawInstruction) *unix.SockFprog {
	sock := make([]unix.SockFilter, len(prog))
	for i, ins := range prog {
		sock[i] = unix.SockFilter{Code: ins.Op, Jt: ins.Jt, Jf: ins.Jf, K: ins.K}
	}
	return &unix.SockFprog{Len: uint16(len(sock)), Filter: &sock[0]}
}
