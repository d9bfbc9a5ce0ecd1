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

// AddFD gives the caller of a notification a duplicate of the descriptor fd, its
// lowest free one. It does not answer the call.
//
// SECCOMP_ADDFD_FLAG_SEND would do both. But when the supervisor is interrupted, or
// killed, while the caller wakes up to take the descriptor, it goes without, and
// its call returns 0 all the same.
//
// Errors are ENOENT if the caller is gone or was interrupted, and EMFILE if it
// can have no more descriptors.
func AddFD(listener int, id uint64, fd int, closeOnExec bool) (int, unix.Errno) {
	a := addFD{id: id, srcFD: uint32(fd)}
	if closeOnExec {
		a.newFDFlags = unix.O_CLOEXEC
	}
	for {
		n, _, e := syscall.RawSyscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_ADDFD, uintptr(unsafe.Pointer(&a)))
		if e != unix.EINTR { // then the caller does not have it
			return int(n), e
		}
	}
}
