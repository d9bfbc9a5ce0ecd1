package ociruntime

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// bundleArgument returns the argument of the runtime that names the state directory as the bundle.
func bundleArgument(dir string) string { return "--bundle=" + dir }

// killOrphans kills the processes that the runtime has for create or run of the container whose
// state directory is dir, and waits for their end.
//
// If create is killed, the runtime ends with it, but not the container's first process. That one
// may wait for ever: it has installed the filter, and holds the listener that nobody receives.
// The runtime does not know it yet.
func killOrphans(dir string) error {
	for {
		pids, err := runtimeProcesses(dir)
		if err != nil || len(pids) == 0 {
			return err
		}
		killed := false
		for _, pid := range pids {
			ended, err := killRuntimeProcess(pid, dir)
			if err != nil {
				return err
			}
			killed = killed || ended
		}
		if !killed {
			return nil
		}
		// Each may have started another before its end.
	}
}

// runtimeProcesses returns the processes whose arguments name the state directory as the bundle.
func runtimeProcesses(dir string) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && isRuntimeProcess(pid, dir) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

func isRuntimeProcess(pid int, dir string) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	return err == nil && slices.Contains(strings.Split(string(text), "\x00"), bundleArgument(dir))
}

// killRuntimeProcess kills a process that runtimeProcesses has returned, and waits for its end. It
// reports false if the process has another user, and is thus none of the runtime's.
func killRuntimeProcess(pid int, dir string) (ended bool, err error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return true, nil
	}
	if err != nil {
		return false, os.NewSyscallError("pidfd_open", err)
	}
	defer unix.Close(fd)
	if !isRuntimeProcess(pid, dir) { // another process has that id now
		return true, nil
	}
	switch err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err {
	case nil, unix.ESRCH:
	case unix.EPERM:
		return false, nil
	default:
		return false, os.NewSyscallError("pidfd_send_signal", err)
	}
	for {
		if _, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1); err != unix.EINTR {
			return true, os.NewSyscallError("poll", err)
		}
	}
}
