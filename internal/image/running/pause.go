package running

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/image/storedir"
	"github.com/rootless-containers/subuidless/internal/launch"
)

// Pause stops all processes of a container by SIGSTOP: the freezer of cgroups needs a cgroup of its
// own, which a user need not have.
func Pause(c *storedir.Container) error {
	switch {
	case !c.Running:
		return fmt.Errorf("container %s is not running", c.Name)
	case c.Paused():
		return fmt.Errorf("container %s is paused already", c.Name)
	}
	if err := c.CheckMachine(); err != nil {
		return err
	}
	// First, so that a command that is killed leaves a container that can be continued.
	if err := c.SetPaused(true); err != nil {
		return err
	}
	if err := launch.SignalAll(socket(c), unix.SIGSTOP); err != nil {
		return errors.Join(explainNotRunning(c, err), c.SetPaused(false))
	}
	return nil
}

// Unpause continues a container that is paused.
func Unpause(c *storedir.Container) error {
	if !c.Running || !c.Paused() {
		return fmt.Errorf("container %s is not paused", c.Name)
	}
	if err := c.CheckMachine(); err != nil {
		return err
	}
	return resume(c)
}

// resume continues all processes of a container.
func resume(c *storedir.Container) error {
	if err := launch.SignalAll(socket(c), unix.SIGCONT); err != nil {
		return explainNotRunning(c, err)
	}
	return c.SetPaused(false)
}

// checkNotPaused returns an error if the container is paused.
func checkNotPaused(c *storedir.Container) error {
	if c.Paused() {
		return fmt.Errorf("container %s is paused (subuidless unpause %[1]s continues it)", c.Name)
	}
	return nil
}
