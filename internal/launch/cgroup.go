package launch

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cgroup"
)

// again is the argument of an init that is to start again outside of the cgroup of the container.
const again = "again"

// newGroup creates the cgroup of the container.
func newGroup(o *RunOptions) (*cgroup.Group, error) {
	g, err := cgroup.New(&o.Resources, o.Supervisor.ID)
	if err != nil {
		return nil, fmt.Errorf("limits of a container need a cgroup: %w", err)
	}
	return g, nil
}

// leave moves the init pid out of the cgroup in which it has started, and lets it start again.
func leave(g *cgroup.Group, pid int, socket *os.File) error {
	if err := g.MoveOut(pid); err != nil {
		return fmt.Errorf("moving the init out of the container's cgroup: %w", err)
	}
	return sendText(socket, proceed)
}

// startAgain executes this program again when the front has moved this process: the memory of the new
// program does not count for the container.
func startAgain(front *os.File) error {
	if _, _, err := receive(front); err != nil {
		return fmt.Errorf("waiting for the front: %w", err)
	}
	return fmt.Errorf("starting the init again: %w", unix.Exec("/proc/self/exe", []string{InitName}, os.Environ()))
}

// enterCgroup moves this process to the cgroup of the descriptor procs, if that is not empty.
func enterCgroup(procs string) error {
	if procs == "" {
		return nil
	}
	fd, err := strconv.Atoi(procs)
	if err != nil {
		return fmt.Errorf("%q is not the number of a descriptor: %w", procs, err)
	}
	unix.CloseOnExec(fd)
	return cgroup.Enter(fd)
}
