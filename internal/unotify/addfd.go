package unotify

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// addFD is struct seccomp_notif_addfd.
type addFD struct {
	id         uint64
	flags      uint32
	srcFD      uint32
	newFD      uint32
	newFDFlags uint32
}

// AddFD installs a duplicate of the descriptor fd as the lowest free descriptor of
// the target of the notification id, and returns that descriptor. It does not
// answer the notification.
//
// SECCOMP_ADDFD_FLAG_SEND would do both at once. But if the supervisor is
// interrupted or killed while the target wakes up to install the descriptor, the
// target gets none, and its call returns 0 nevertheless.
//
// The error is ENOENT if the target has been killed or interrupted, or EMFILE if it
// has reached its limit of descriptors.
func AddFD(listener int, id uint64, fd int, closeOnExec bool) (int, unix.Errno) {
	a := addFD{id: id, srcFD: uint32(fd)}
	if closeOnExec {
		a.newFDFlags = unix.O_CLOEXEC
	}
	for {
		n, _, e := syscall.RawSyscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_ADDFD, uintptr(unsafe.Pointer(&a)))
		if e != unix.EINTR { // on EINTR the target has no descriptor
			return int(n), e
		}
	}
}
