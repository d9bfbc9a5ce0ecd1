package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/identity"
	"github.com/rootless-containers/subuidless/internal/syscalls"
	"github.com/rootless-containers/subuidless/internal/unotify"
)

// programPoll is the interval at which awaitProgram checks whether the process can be
// inspected, while there is no notification.
const programPoll = 5 * time.Millisecond

// awaitProgram waits until the process pid can be inspected, and reports whether it had to
// wait. If so, the container's program has begun by then, marked with identity.Mark unless
// user is nil. The listener is that of the process. The error says why the program did not
// begin: the process ended, or ctx is done.
//
// A runtime makes itself non-dumpable: only processes with CAP_SYS_PTRACE in the runtime's
// own user namespace can inspect it (prctl(2), PR_SET_DUMPABLE). It installs the filter
// before it executes the container's program, so its own calls are notified, too. The
// kernel executes them correctly (they are continued), except those that switch to a user
// that is not mapped. These return 0 without effect: the program gets that user anyway.
//
// No call of the program is mistaken for one of the runtime: a notified call suspends its
// task, so a process that cannot be inspected after its notification has arrived made that
// call as the runtime.
func awaitProgram(ctx context.Context, listener *os.File, pid int, user *identity.User) (waited bool, err error) {
	fd := int(listener.Fd())
	if err := unotify.CheckSizes(); err != nil {
		return false, err
	}
	dispatch := syscalls.NewDispatch()
	for {
		waiting, err := unotify.Poll(fd, programPoll)
		if err != nil {
			return false, fmt.Errorf("process %d ended before the container's program began: %w", pid, err)
		}
		ok, err := inspectable(pid)
		if ok || err != nil {
			return waited, err
		}
		waited = true
		if waiting {
			if err := answerRuntime(fd, dispatch, user); err != nil {
				return false, err
			}
		}
		if ctx.Err() != nil {
			return false, errors.New("the agent was stopped before the container's program began: create the container again")
		}
	}
}

// inspectable reports whether the calling process may open the namespaces of process pid.
func inspectable(pid int) (bool, error) {
	var st unix.Stat_t
	path := fmt.Sprintf("/proc/%d/ns/mnt", pid)
	switch err := unix.Stat(path, &st); err {
	case nil:
		return true, nil
	case unix.EACCES, unix.EPERM:
		return false, nil
	default:
		return false, fmt.Errorf("stat %s: %w", path, err)
	}
}

// answerRuntime receives a notification that a runtime caused, and answers it: see
// awaitProgram.
func answerRuntime(listener int, dispatch *syscalls.Dispatch, user *identity.User) error {
	var n unotify.Notif
	switch e := unotify.Recv(listener, &n); e {
	case 0:
	case unix.EINTR, unix.ENOENT:
		return nil // a signal interrupted the call
	default:
		return fmt.Errorf("receiving a notification: %w", e)
	}
	resp := unotify.Resp{ID: n.ID, Flags: unotify.FlagContinue}
	if row, _ := dispatch.Lookup(n.Data.Arch, n.Data.NR); row != nil {
		switch row.Name {
		case "setgroups", "setgid", "setresgid", "setuid", "setresuid":
			resp.Flags = 0
		case "execve", "execveat":
			if user != nil {
				if err := identity.Mark(n.PID); err != nil {
					return err
				}
			}
		}
	}
	if e := unotify.Send(listener, &resp); e != 0 && e != unix.ENOENT {
		return fmt.Errorf("answering a notification: %w", e)
	}
	return nil
}
