// Package running runs containers of a store, and reaches those that run.
//
// A container runs as long as a process of subuidless holds its lock: the one in the user's
// shell, or for a container in the background its monitor, which also keeps its output. Both are
// of the main program (package program). Other commands reach the container by the lock, by the
// control socket of its init (package launch), and by the socket of its supervisor's keeper.
package running

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/rootless-containers/subuidless/internal/cgroup"
	"github.com/rootless-containers/subuidless/internal/image/layer"
	"github.com/rootless-containers/subuidless/internal/image/overlay"
	"github.com/rootless-containers/subuidless/internal/image/storedir"
	"github.com/rootless-containers/subuidless/internal/launch"
	"github.com/rootless-containers/subuidless/internal/supervisor"
)

// container is a container that this process runs, and whose lock it holds.
type container struct {
	*storedir.Container
	lock  storedir.Lock
	stdin *os.File   // writes to its standard input; nil: see Run
	mu    sync.Mutex // protects State
}

// Run runs the command of the container in the directory dir on the standard streams of the
// caller, and returns its exit status as launch.Run does. The lock is that of the container.
func Run(dir string, lock storedir.Lock) (status int, err error) {
	defer lock.Unlock()
	saved, err := storedir.ReadContainer(dir)
	if err != nil {
		return launch.StatusFailed, err
	}
	c := &container{Container: saved, lock: lock}
	l, err := launchOptions(saved)
	if err != nil {
		return launch.StatusFailed, err
	}
	return c.run(l, func() {}, func() {})
}

// run runs the container as l says. Started is called when it runs, and ended when it has ended,
// before its exit status is noted.
func (c *container) run(l *launch.RunOptions, started, ended func()) (status int, err error) {
	// It may have been paused when it was killed.
	if err := errors.Join(c.SetPaused(false), c.lock.Begin()); err != nil {
		return launch.StatusFailed, err
	}
	if c.State.Cgroup != "" { // of processes that were killed
		if err := cgroup.Remove(c.State.Cgroup); err != nil {
			return launch.StatusFailed, err
		}
	}
	c.State = storedir.State{}
	c.State.SetProcesses(os.Getpid())
	if c.stdin != nil {
		c.State.Stdin = int(c.stdin.Fd())
	}
	stopChecks := func() {}
	oomKilled := false
	l.OOMKilled = func() { oomKilled = true }
	l.Started = func(pid int, group string) error {
		c.State.Init, c.State.Cgroup, c.State.Started = pid, group, time.Now()
		stopChecks = c.startHealthChecks()
		if err := c.saveState(); err != nil {
			return err
		}
		started()
		return nil
	}
	status, err = launch.Run(*l)
	stopChecks()
	ended()
	err = errors.Join(err, c.lock.End(status))
	if c.AutoRemove {
		return status, errors.Join(err, storedir.RemoveContainer(c.Dir))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	state := &c.State
	state.Pid, state.Init, state.Stdin, state.Cgroup, state.Finished, state.ExitCode = 0, 0, 0, "", time.Now(), status
	state.OOMKilled = oomKilled
	if state.Started.IsZero() {
		state.Started = state.Finished
	}
	if err != nil {
		state.Error = err.Error()
	}
	return status, errors.Join(err, c.SaveState(true))
}

// saveState writes the state while the container runs.
func (c *container) saveState() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.SaveState(false)
}

// launchOptions returns how to run the container.
func launchOptions(c *storedir.Container) (*launch.RunOptions, error) {
	settings := &c.Settings
	l := &launch.RunOptions{
		Rootfs: filepath.Join(c.Dir, "rootfs"), Args: c.Command, User: settings.User, Env: settings.Env, Workdir: settings.Workdir,
		Net: settings.Net, Hostname: settings.Hostname, Hosts: settings.Hosts, Resolver: settings.Resolver, Groups: settings.Groups, Limits: settings.Limits, Resources: settings.Resources, ReadOnly: settings.ReadOnly, Dirs: settings.Dirs,
		CapAdd: settings.CapAdd, CapDrop: settings.CapDrop, Devices: settings.Devices, Ports: settings.Ports,
		Sysctls: settings.Sysctls, Umask: settings.Umask, ShmSize: settings.ShmSize, Timeout: settings.Timeout,
		Socket: socket(c), Summary: settings.TraceSummary,
		Supervisor: supervisor.Config{
			ID: c.ID, SocketDir: c.Dir, Trace: settings.Trace, Sidecar: settings.Sidecar, NoPermissions: settings.NoPermissions,
			Accelerate: settings.Accelerate,
		},
	}
	if l.Hostname == "" && l.Net == launch.NetNone {
		l.Hostname = c.ID[:12]
	}
	for _, m := range settings.Mounts {
		mount := launch.Mount{Target: m.Destination, Source: m.Source, Readonly: m.ReadOnly}
		if m.Tmpfs != nil {
			mount.Tmpfs, mount.Size, mount.Mode, mount.NoExec = true, m.Tmpfs.Size, m.Tmpfs.Mode, m.Tmpfs.NoExec
		}
		l.Mounts = append(l.Mounts, mount)
	}
	if len(c.Layers) == 0 {
		return l, nil
	}
	mount, err := Overlay(c)
	if err != nil {
		return nil, err
	}
	var lower []string
	for _, id := range c.Layers {
		lower = append(lower, filepath.Join(mount.Dir, id))
	}
	// Not closed: launch.Run uses it, and this process ends with the container.
	stack, err := layer.OpenStack(lower)
	if err != nil {
		return nil, err
	}
	l.Layers = &launch.Layers{Mount: *mount, Name: c.Image, Open: stack.Open}
	return l, nil
}

// socket returns the path of the control socket.
func socket(c *storedir.Container) string { return filepath.Join(c.Dir, "control") }

// Overlay returns how overlayfs mounts the root file system of c.
func Overlay(c *storedir.Container) (*overlay.Mount, error) {
	layers := storedir.LayersDir(storedir.StoreOf(c.Dir))
	dir, err := filepath.Rel(layers, c.Dir)
	if err != nil {
		return nil, err
	}
	return &overlay.Mount{Dir: layers, Lower: c.Layers, Upper: filepath.Join(dir, "upper"), Work: filepath.Join(dir, "work")}, nil
}
