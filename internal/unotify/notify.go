package unotify

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// FlagContinue in Resp.Flags lets the kernel execute the system call.
const FlagContinue = unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE

// Recv waits for the next notification of listener and stores it in n, which
// must be all zeros (the kernel answers EINVAL otherwise).
//
// EINTR (a signal) and ENOENT (the caller was killed or interrupted before it
// could be received) are normal; the caller should try again unless the
// listener has hung up.
func Recv(listener int, n *Notif) unix.Errno {
	// Syscall, not RawSyscall: it may block for ever, and the Go scheduler
	// must be able to take the processor away meanwhile.
	_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(n)))
	return e
}

// Send answers a notification. ENOENT means that the caller is gone or was
// interrupted by a signal: there is nobody left to answer.
func Send(listener int, r *Resp) unix.Errno {
	for {
		_, _, e := syscall.RawSyscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(r)))
		// The kernel takes the filter's lock interruptibly. An answer given
		// up here would leave the caller waiting for ever.
		if e != unix.EINTR {
			return e
		}
	}
}

// SetSyncWakeUp turns SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (Linux 6.6) on or off:
// with it the two sides wake each other on the same CPU. It returns EINVAL on
// an older kernel.
func SetSyncWakeUp(listener int, on bool) unix.Errno {
	var flags uintptr
	if on {
		flags = unix.SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
	}
	_, _, e := syscall.RawSyscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_SET_FLAGS, flags)
	return e
}

// Waits tells whether the task still waits for the answer to the notification id. One
// that has been killed does not, and its thread id may be another thread's: so what was read
// from the caller's memory or /proc before really was the caller's.
func Waits(listener int, id uint64) bool {
	_, _, e := syscall.RawSyscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_ID_VALID, uintptr(unsafe.Pointer(&id)))
	return e == 0
}

// WaitHangup blocks until no task is left that the filter of listener applies
// to (Linux 5.8). Waiting with an empty event mask matters: a waiter for
// POLLIN would be woken for each notification.
func WaitHangup(listener int) error {
	fds := []unix.PollFd{{Fd: int32(listener)}}
	for {
		if _, err := unix.Poll(fds, -1); err != nil {
			if err == unix.EINTR {
				continue
			}
			return fmt.Errorf("poll of the seccomp listener: %w", err)
		}
		if fds[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0 {
			return nil
		}
	}
}

// CheckSizes compares the kernel's structures with ours.
//
// A kernel whose structures have grown wants larger buffers than ours, and
// would write past them.
func CheckSizes() error {
	var s sizes
	if _, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_NOTIF_SIZES, 0, uintptr(unsafe.Pointer(&s))); e != 0 {
		return fmt.Errorf("seccomp(SECCOMP_GET_NOTIF_SIZES): %w (seccomp user notification needs Linux 5.5 or later with CONFIG_SECCOMP_FILTER)", e)
	}
	if s.Notif != uint16(unsafe.Sizeof(Notif{})) || s.Resp != uint16(unsafe.Sizeof(Resp{})) || s.Data != uint16(unsafe.Sizeof(Data{})) {
		return fmt.Errorf("the kernel's seccomp notification structures have sizes %d, %d, %d; this build knows %d, %d, %d: a newer subuidless is needed",
			s.Notif, s.Resp, s.Data, unsafe.Sizeof(Notif{}), unsafe.Sizeof(Resp{}), unsafe.Sizeof(Data{}))
	}
	return nil
}
