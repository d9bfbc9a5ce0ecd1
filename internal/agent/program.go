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

// programPoll is how often awaitProgram looks whether the process can be
// inspected, while it makes no notified call.
const programPoll = 5 * time.Millisecond

// awaitProgram waits until the process can be inspected, and tells whether it had
// to: then the container's program has begun, marked as user unless that is nil.
//
// A runtime makes itself non-dumpable, so that the kernel lets nobody without
// CAP_SYS_PTRACE in the runtime's own user namespace look at it, and its filter
// begins before it executes the container's program. What it calls until then
// is right as the kernel does it, but for the calls by which it would become a user
// that is not mapped: these do nothing, as the program will be that user anyway.
// The others are continued until the program is there. No call of the program is
// lost that way: a notified call holds up its process, so a process that could not
// be inspected when its call was seen makes that call as the runtime.
func awaitProgram(ctx context.Context, listener *os.File, pid int, user *identity.User) (waited bool, err error) {
	fd := int(listener.Fd())
	if err := unotify.CheckSizes(); err != nil {
		return false, err
	}
	dispatch := syscalls.NewDispatch()
	for {
		waiting, err := callWaits(fd, programPoll)
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
			return false, errors.New("the agent was stopped before the container's program began: start the container anew")
		}
	}
}

// inspectable tells whether this process may open the namespaces of pid.
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

// callWaits tells whether a notified call waits for its answer, or does so
// within the timeout.
func callWaits(listener int, timeout time.Duration) (bool, error) {
	fds := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, int(timeout.Milliseconds()))
	switch {
	case err == unix.EINTR:
		return false, nil
	case err != nil:
		return false, fmt.Errorf("poll of the seccomp listener: %w", err)
	case n > 0 && fds[0].Revents&unix.POLLIN == 0:
		return false, errors.New("no process uses the seccomp listener any more")
	}
	return n > 0, nil
}

// answerRuntime answers the call that waits.
func answerRuntime(listener int, dispatch *syscalls.Dispatch, user *identity.User) error {
	var n unotify.Notif
	switch e := unotify.Recv(listener, &n); e {
	case 0:
	case unix.EINTR, unix.ENOENT:
		return nil // interrupted by a signal
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
