package running

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/image/storedir"
	"github.com/rootless-containers/subuidless/internal/launch"
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

// defaultStopTimeout is that of docker.
const defaultStopTimeout = 10 * time.Second

// Stop ends a container as docker does: by a signal, and after the timeout by SIGKILL. An empty signal
// and a negative timeout are those of the container. It is no error if the container does not run.
func Stop(c *storedir.Container, signal string, timeout time.Duration) error {
	if !c.IsRunning() {
		return nil
	}
	if err := c.CheckMachine(); err != nil {
		return err
	}
	if timeout < 0 {
		timeout = defaultStopTimeout
		if c.Settings.StopTimeout != 0 {
			timeout = time.Duration(c.Settings.StopTimeout) * time.Second
		}
	}
	number, err := ParseSignal(cmp.Or(signal, c.StopSignal, defaultStopSignal))
	if err != nil {
		return err
	}
	ended, err := endOf(c)
	if err != nil {
		return err
	}
	if done, err := deliver(c, number, ended, timeout); done || err != nil {
		return err
	}
	return Kill(c)
}

// deliver sends a signal to the command of the container, as soon as there is one, and reports
// whether the container ends within the time.
func deliver(c *storedir.Container, number unix.Signal, ended <-chan struct{}, patience time.Duration) (done bool, err error) {
	timeout := time.After(patience)
	for {
		err := launch.Signal(socket(c), number)
		if err != nil && !errors.Is(err, launch.ErrNotRunning) {
			return false, fmt.Errorf("container %s: %w", c.Name, err)
		}
		if err == nil && c.Paused() { // a process that is stopped handles no signal
			err = resume(c)
		}
		var again <-chan time.Time
		if err != nil { // it is just starting, or ending
			again = time.After(20 * time.Millisecond)
		}
		select {
		case <-ended:
			return true, nil
		case <-timeout:
			return false, nil
		case <-again:
		}
	}
}

// killPatience is how long a container may take to end after SIGKILL.
const killPatience = 10 * time.Second

// Kill ends a container by SIGKILL, and waits until it has ended. It is no error if the container
// does not run.
func Kill(c *storedir.Container) error {
	if err := c.CheckMachine(); err != nil {
		return err
	}
	ended, err := endOf(c)
	if err != nil {
		return err
	}
	if done, err := deliver(c, unix.SIGKILL, ended, killPatience); done || err != nil {
		return err
	}
	// Its init is stopped, for example. It ends with the process that runs it.
	if err := c.LoadState(); err != nil {
		return err
	}
	if err := killProcess(c); err != nil {
		return err
	}
	select {
	case <-ended:
		return nil
	case <-time.After(killPatience):
		return fmt.Errorf("container %s has not ended %v after SIGKILL", c.Name, killPatience)
	}
}

// killProcess kills the process that runs the container.
func killProcess(c *storedir.Container) error {
	if err := c.CheckProcesses(); err != nil {
		return err
	}
	pidfd, err := unix.PidfdOpen(c.State.Pid, 0)
	if errors.Is(err, unix.ESRCH) || c.State.Pid == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("container %s: pidfd_open: %w", c.Name, err)
	}
	defer unix.Close(pidfd)
	// If the lock is held now, the descriptor is that of the process that holds it.
	if !c.IsRunning() {
		return nil
	}
	if err := unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("container %s: killing process %d: %w", c.Name, c.State.Pid, err)
	}
	return nil
}

// endOf returns a channel that is closed when the container does not run.
func endOf(c *storedir.Container) (<-chan struct{}, error) {
	ended := make(chan struct{})
	w, err := c.Waiter()
	if errors.Is(err, storedir.ErrNotFound) {
		close(ended)
		return ended, nil
	}
	if err != nil {
		return nil, err
	}
	go func() {
		defer w.Close()
		_, _ = w.Wait() // an error would be reported by the next use of the lock
		close(ended)
	}()
	return ended, nil
}

// Signal sends a signal to the command of the container.
func Signal(c *storedir.Container, number unix.Signal) error {
	if err := c.CheckMachine(); err != nil {
		return err
	}
	return explainNotRunning(c, launch.Signal(socket(c), number))
}

// Remove removes a container. One that runs is killed with force, and is an error without.
func Remove(c *storedir.Container, force bool) error {
	if force {
		if err := Kill(c); err != nil {
			return err
		}
	}
	lock, err := c.Lock() // so that nobody starts it
	switch {
	case errors.Is(err, storedir.ErrNotFound) && force:
		return removeWithoutLock(c)
	case errors.Is(err, storedir.ErrRunning):
		return fmt.Errorf("container %s is running; stop it first (subuidless stop %s), or use --force", c.Name, c.Name)
	case err != nil:
		return err
	}
	defer lock.Unlock()
	return storedir.RemoveContainer(c.Dir)
}

// removeWithoutLock removes what is left of a container that has been killed, and either removes itself or
// has lost its lock. Nothing can tell when its last process has ended; until then, it may create files.
func removeWithoutLock(c *storedir.Container) error {
	for end := time.Now().Add(killPatience); ; time.Sleep(20 * time.Millisecond) {
		err := storedir.RemoveContainer(c.Dir)
		if !errors.Is(err, unix.ENOTEMPTY) || time.Now().After(end) {
			return err
		}
	}
}
