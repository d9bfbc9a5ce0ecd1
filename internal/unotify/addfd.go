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
// Errors are ENOENT if the caller is gone or was interrupted, and EMFILE if it
// can have no more descriptors.
func AddFD(listener int, id uint64, fd int, closeOnExec bool) (int, unix.Errno) {
	return addFDFlags(listener, id, fd, closeOnExec, 0)
}

// SendFD answers a notification with a duplicate of the descriptor fd, in one
// step: either the call returns it, or the caller does not have it (Linux 5.14).
// Errors are those of AddFD.
func SendFD(listener int, id uint64, fd int, closeOnExec bool) unix.Errno {
	_, e := addFDFlags(listener, id, fd, closeOnExec, unix.SECCOMP_ADDFD_FLAG_SEND)
	return e
}

func addFDFlags(listener int, id uint64, fd int, closeOnExec bool, flags uint32) (int, unix.Errno) {
	a := addFD{id: id, flags: flags, srcFD: uint32(fd)}
	if closeOnExec {
		a.newFDFlags = unix.O_CLOEXEC
	}
	for {
		n, _, e := syscall.RawSyscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_ADDFD, uintptr(unsafe.Pointer(&a)))
		if e != unix.EINTR { // for the filter's lock, as with Send
			return int(n), e
		}
	}
}
