package unotify

import (
	"errors"
	"fmt"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// FlagContinue in Resp.Flags is the answer that lets the kernel execute the call.
const FlagContinue = unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE

// Recv waits for the next notification of listener and stores it in n. All bytes of
// n must be zero; otherwise the kernel fails with EINVAL.
//
// Two errors are normal: EINTR (a signal to this thread) and ENOENT (the target was
// killed or interrupted before its notification was received). Try again after them,
// unless the listener has hung up.
func Recv(listener int, n *Notif) unix.Errno {
	// Syscall, not RawSyscall: the call may block for ever, and the Go scheduler must
	// be able to run other goroutines meanwhile.
	_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(n)))
	return e
}

// Send answers a notification. The error is ENOENT if the target has been killed or
// interrupted by a signal and no longer waits, or EINPROGRESS if the notification
// has been answered already.
func Send(listener int, r *Resp) unix.Errno {
	for {
		_, _, e := syscall.RawSyscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(r)))
		// A signal can interrupt the kernel while it acquires the filter's lock. Without
		// another try, the target would wait for ever.
		if e != unix.EINTR {
			return e
		}
	}
}

// SetSyncWakeUp turns SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP of listener on or off. If
// it is on, target and receiver wake each other on the same CPU. The error is EINVAL
// before Linux 6.6.
func SetSyncWakeUp(listener int, on bool) unix.Errno {
	var flags uintptr
	if on {
		flags = unix.SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
	}
	_, _, e := syscall.RawSyscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_SET_FLAGS, flags)
	return e
}

// Waits reports whether the target still waits for the answer to the notification
// id. If it does, what has been read from its memory or /proc before was really the
// target's: its thread id cannot have been reused.
func Waits(listener int, id uint64) bool {
	for {
		_, _, e := syscall.RawSyscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_ID_VALID, uintptr(unsafe.Pointer(&id)))
		// As in Send, a signal can interrupt the kernel while it acquires the filter's lock.
		if e != unix.EINTR {
			return e == 0
		}
	}
}

// WaitHangup blocks until no task is left to which the filter of listener applies.
// It needs Linux 5.8.
func WaitHangup(listener int) error {
	fds := []unix.PollFd{{Fd: int32(listener)}} // without POLLIN: notifications do not wake this thread
	for {
		if _, err := unix.Poll(fds, -1); err != nil {
			if err == unix.EINTR {
				continue
			}
			return fmt.Errorf("poll the seccomp listener: %w", err)
		}
		if fds[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0 {
			return nil
		}
	}
}

// Poll waits up to timeout for a notification, and reports whether there is one. It does not receive
// it. It is an error if no task is left to which the filter of listener applies.
func Poll(listener int, timeout time.Duration) (bool, error) {
	fds := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, int(timeout.Milliseconds()))
	switch {
	case err == unix.EINTR:
		return false, nil
	case err != nil:
		return false, fmt.Errorf("poll of the seccomp listener: %w", err)
	case n > 0 && fds[0].Revents&unix.POLLIN == 0:
		return false, errors.New("no process uses the seccomp filter any more")
	}
	return n > 0, nil
}

// HungUp reports whether no task is left to which the filter of listener applies.
// It needs Linux 5.8.
func HungUp(listener int) bool {
	fds := []unix.PollFd{{Fd: int32(listener)}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0 && fds[0].Revents&unix.POLLHUP != 0
}

// CheckSizes fails if the kernel does not support seccomp user notification, or if
// its structures have other sizes than ours: it would write past our buffers.
func CheckSizes() error {
	var s sizes
	if _, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_NOTIF_SIZES, 0, uintptr(unsafe.Pointer(&s))); e != 0 {
		return fmt.Errorf("seccomp(SECCOMP_GET_NOTIF_SIZES): %w (seccomp user notification needs Linux 5.5 or later with CONFIG_SECCOMP_FILTER)", e)
	}
	if s.Notif != uint16(unsafe.Sizeof(Notif{})) || s.Resp != uint16(unsafe.Sizeof(Resp{})) || s.Data != uint16(unsafe.Sizeof(Data{})) {
		return fmt.Errorf("this kernel's seccomp notification structures have %d, %d and %d bytes, but this subuidless expects %d, %d and %d: use a newer version",
			s.Notif, s.Resp, s.Data, unsafe.Sizeof(Notif{}), unsafe.Sizeof(Resp{}), unsafe.Sizeof(Data{}))
	}
	return nil
}
