package ociruntime

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/launch"
	"github.com/rootless-containers/subuidless/internal/userns"
)

// place says where the runtime runs, and who supervises its containers.
type place struct {
	// supervised means that an outer supervisor handles the calls of this process already.
	supervised bool
	// newUserNS means that the runtime needs a user namespace, in which it is root.
	newUserNS bool
}

// findPlace returns the place of this process. It is an error if containers cannot be
// supervised from there.
func findPlace(supervised bool) (place, error) {
	if supervised || os.Geteuid() != 0 {
		return place{supervised: supervised, newUserNS: !supervised}, nil
	}
	maps, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return place{}, err
	}
	var inside, outside, count uint32
	if _, err := fmt.Sscan(string(maps), &inside, &outside, &count); err != nil {
		return place{}, fmt.Errorf("/proc/self/uid_map: %w", err)
	}
	if count > 1 {
		return place{}, errors.New("this process is root with more than one user id: use crun or runc directly, subuidless is for accounts that have only one")
	}
	return place{}, nil
}

// child is a running runtime.
type child struct {
	pid     int
	pidfd   int
	signals <-chan os.Signal
}

// startRuntime starts the runtime with args, in a new user namespace if newUserNS is true.
// It inherits all descriptors of this process that are open without close-on-exec, and is
// killed if this process is.
func (r *runtime) startRuntime(args []string, newUserNS bool) (*child, error) {
	attr := new(syscall.SysProcAttr)
	if newUserNS {
		attr = userns.NewProcAttr(0)
	}
	attr.Pdeathsig = unix.SIGKILL
	signals := launch.CatchSignals()
	cmd := exec.Command(r.backend.path, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = os.Stdin, os.Stdout, os.Stderr, attr
	if err := cmd.Start(); err != nil {
		err = fmt.Errorf("starting %s: %w", r.backend.path, err)
		if newUserNS {
			err = userns.Explain(err)
		}
		return nil, err
	}
	return newChild(cmd.Process.Pid, signals)
}

// joinRuntime is startRuntime in the user namespace of the process task.
func (r *runtime) joinRuntime(args []string, task, preserved int) (*child, error) {
	ns, err := unix.Open("/proc/"+strconv.Itoa(task)+"/ns/user", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("the user namespace of the container: %w", err)
	}
	defer unix.Close(ns)
	if own, err := userns.IsOwn(ns); err != nil || own {
		if err != nil {
			return nil, err
		}
		return r.startRuntime(args, false)
	}
	signals := launch.CatchSignals()
	cmd := userns.Command{Namespace: ns, Path: r.backend.path, Args: append([]string{r.backend.path}, args...), Env: os.Environ()}
	for fd := range 3 + preserved {
		cmd.Files = append(cmd.Files, fd)
	}
	pid, err := cmd.Start()
	if err != nil {
		return nil, err
	}
	return newChild(pid, signals)
}

// newChild returns the child pid, which receives the signals of this process.
func newChild(pid int, signals <-chan os.Signal) (*child, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, errors.Join(os.NewSyscallError("pidfd_open", err), unix.Kill(pid, unix.SIGKILL))
	}
	return &child{pid: pid, pidfd: fd, signals: signals}, nil
}

// wait waits for the end of the runtime, and returns its exit status.
func (c *child) wait() (int, error) {
	defer unix.Close(c.pidfd)
	return launch.WaitForwarding(c.pid, c.signals)
}
