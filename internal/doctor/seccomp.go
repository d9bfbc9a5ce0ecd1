package doctor

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/unotify"
)

// listener is the result of trying the features of a seccomp listener: nil for those that
// work.
type listener struct {
	answer     error // SECCOMP_USER_NOTIF_FLAG_CONTINUE
	addFD      error // SECCOMP_IOCTL_NOTIF_ADDFD
	syncWakeUp error // SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
}

// listenerCan returns a probe that reports one of the fields of listener.
func listenerCan(what func(listener) error) func(*Machine) (string, error) {
	return func(m *Machine) (string, error) { return "", what(m.listener()) }
}

// tryListener tries the features of a seccomp listener with a thread of this process, which
// makes a harmless system call.
func tryListener() listener {
	failed := func(err error) listener { return listener{err, err, err} }
	if err := unotify.CheckSizes(); err != nil {
		return failed(err)
	}
	fd, outcome, err := unotify.NotifyingThread(unix.SYS_GETPPID)
	if err != nil {
		return failed(err)
	}
	// If the thread still waits for an answer, closing the listener wakes it up.
	defer unix.Close(fd)

	var l listener
	if e := unotify.SetSyncWakeUp(fd, true); e != 0 {
		l.syncWakeUp = fmt.Errorf("SECCOMP_IOCTL_NOTIF_SET_FLAGS: %w", e)
	}
	id, err := receive(fd)
	if err != nil {
		return failed(err)
	}
	l.addFD = addFD(fd, id)
	if err := letContinue(fd, id); err != nil {
		return failed(err)
	}
	if got, want := (<-outcome).Value, os.Getppid(); got != want {
		l.answer = fmt.Errorf("a continued getppid returned %d instead of %d", got, want)
	}
	return l
}

// receive receives a notification, and returns its id.
func receive(fd int) (id uint64, err error) {
	for {
		var n unotify.Notif
		switch e := unotify.Recv(fd, &n); {
		case e == 0:
			return n.ID, nil
		case e != unix.EINTR && e != unix.ENOENT:
			return 0, fmt.Errorf("SECCOMP_IOCTL_NOTIF_RECV: %w", e)
		}
	}
}

// letContinue answers the notification id by continuing the call.
func letContinue(fd int, id uint64) error {
	if e := unotify.Send(fd, &unotify.Resp{ID: id, Flags: unotify.FlagContinue}); e != 0 {
		return fmt.Errorf("SECCOMP_USER_NOTIF_FLAG_CONTINUE: %w", e)
	}
	return nil
}

// addFD adds a duplicate of the listener to the notifying task, which is in this process.
func addFD(fd int, id uint64) error {
	// struct seccomp_notif_addfd
	req := struct {
		id                              uint64
		flags, srcFD, newFD, newFDFlags uint32
	}{id: id, srcFD: uint32(fd), newFDFlags: unix.O_CLOEXEC}
	// Not RawSyscall: the notifying thread must run to receive the descriptor.
	added, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SECCOMP_IOCTL_NOTIF_ADDFD, uintptr(unsafe.Pointer(&req)))
	if e != 0 {
		return fmt.Errorf("SECCOMP_IOCTL_NOTIF_ADDFD: %w", e)
	}
	return unix.Close(int(added))
}

// killableWait calls seccomp(2) with the flag and without a program: a kernel that supports
// the flag then tries to read the program, and fails with EFAULT.
func killableWait(*Machine) (string, error) {
	flags := uintptr(unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)
	_, _, e := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, 0)
	if errors.Is(e, unix.EFAULT) {
		return "", nil
	}
	return "", fmt.Errorf("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: %w", e)
}
