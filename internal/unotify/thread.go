package unotify

import (
	"fmt"
	"runtime"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Outcome is the result of a system call.
type Outcome struct {
	Value int // the return value, if Errno is 0
	Errno unix.Errno
}

// NotifyingThread starts a thread with a filter that notifies the system call nr, which has no
// arguments. The thread makes the call once, and ends. The listener belongs to the caller; the
// channel receives the result of the call. The errors are those of Install and prctl(2).
func NotifyingThread(nr int) (listener int, outcome <-chan Outcome, err error) {
	listeners, errs, outcomes := make(chan int), make(chan error), make(chan Outcome, 1)
	go func() {
		// Not unlocked: the thread ends together with its filter.
		runtime.LockOSThread()
		fd, err := notify(nr)
		if err != nil {
			errs <- err
			return
		}
		listeners <- fd
		// Not RawSyscall: other goroutines must run meanwhile.
		r, _, e := unix.Syscall(uintptr(nr), 0, 0, 0)
		outcomes <- Outcome{int(r), e}
	}()
	select {
	case err := <-errs:
		return -1, nil, err
	case fd := <-listeners:
		return fd, outcomes, nil
	}
}

// notify installs a filter on the calling thread that notifies the system call nr, and returns
// the listener.
func notify(nr int) (int, error) {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return -1, fmt.Errorf("prctl(PR_SET_NO_NEW_PRIVS): %w", err)
	}
	prog, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: 0, Size: 4}, // struct seccomp_data.nr
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(nr), SkipFalse: 1},
		bpf.RetConstant{Val: unix.SECCOMP_RET_USER_NOTIF},
		bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW},
	})
	if err != nil {
		return -1, err
	}
	return Install(prog)
}
