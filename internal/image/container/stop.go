package container

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/image/store"
)

// defaultStopSignal is that of docker for images without one.
const defaultStopSignal = "SIGTERM"

// ParseSignal returns the number of a signal, which has the form TERM, SIGTERM or 15.
func ParseSignal(text string) (unix.Signal, error) {
	if n, err := strconv.Atoi(text); err == nil && n > 0 && n <= 64 {
		return unix.Signal(n), nil
	}
	name := strings.ToUpper(text)
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	// The numbers of the real-time signals are those of glibc.
	for prefix, first := range map[string]int{"SIGRTMIN": 34, "SIGRTMAX": 64} {
		rest, ok := strings.CutPrefix(name, prefix)
		if !ok {
			continue
		}
		n, err := strconv.Atoi(cmp.Or(rest, "0"))
		if err == nil && first+n >= 34 && first+n <= 64 {
			return unix.Signal(first + n), nil
		}
	}
	if n := unix.SignalNum(name); n != 0 {
		return n, nil
	}
	return 0, fmt.Errorf("%q is not a signal", text)
}

// Stop ends a container as docker does: by its stop signal, and after the timeout by SIGKILL.
// It is no error if the container does not run.
func Stop(s *store.Store, c *store.Container, timeout time.Duration) error {
	number, err := ParseSignal(cmp.Or(c.StopSignal, defaultStopSignal))
	if err != nil {
		return err
	}
	if ended, err := Signal(c, number, timeout); ended || err != nil {
		return err
	}
	ended, err := Signal(c, unix.SIGKILL, time.Minute)
	if err != nil {
		return err
	}
	if !ended {
		return fmt.Errorf("container %s has not ended a minute after SIGKILL", c.Name)
	}
	if c.AutoRemove {
		return s.RemoveContainer(c)
	}
	return nil
}

// Signal sends a signal to the process that runs the container, which passes it on to the
// command, and reports whether the container ends within the timeout. SIGKILL ends the process
// itself, and with it the container.
func Signal(c *store.Container, number unix.Signal, timeout time.Duration) (ended bool, err error) {
	pidfd, err := unix.PidfdOpen(c.Pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("container %s: pidfd_open: %w", c.Name, err)
	}
	defer unix.Close(pidfd)
	// If the lock is held now, the descriptor is that of the process that holds it.
	if !c.IsRunning() {
		return true, nil
	}
	if err := unix.PidfdSendSignal(pidfd, number, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return false, fmt.Errorf("container %s: sending signal %d: %w", c.Name, number, err)
	}
	deadline := time.Now().Add(timeout)
	for {
		poll := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
		n, err := unix.Poll(poll, int(max(0, time.Until(deadline).Milliseconds())))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return false, fmt.Errorf("container %s: poll: %w", c.Name, err)
		}
		return n > 0, nil
	}
}
