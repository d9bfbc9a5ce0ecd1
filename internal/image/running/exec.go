package running

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/rootless-containers/subuidless/internal/image/storedir"
	"github.com/rootless-containers/subuidless/internal/launch"
	"github.com/rootless-containers/subuidless/internal/supervisor"
)

// ExecOptions are the options of Exec.
type ExecOptions struct {
	Args        []string
	User        string   // empty: that of the container
	Env         []string // K=V, or K to pass it through
	Workdir     string   // empty: that of the container
	Interactive bool     // connect standard input
	Terminal    bool
	Detach      bool
}

// enterOptions returns the options for launch.Enter of a command as the container's own.
func enterOptions(c *storedir.Container) launch.EnterOptions {
	return launch.EnterOptions{
		Socket: socket(c), User: c.Settings.User, Env: c.Settings.Env, Workdir: c.Settings.Workdir,
		Supervisor: supervisor.Config{ID: c.ID, SocketDir: c.Dir},
	}
}

// Exec runs a further command in the container, and returns its exit status as launch.Enter does.
func Exec(c *storedir.Container, o ExecOptions) (status int, err error) {
	if err := c.CheckMachine(); err != nil {
		return launch.StatusFailed, err
	}
	if err := checkNotPaused(c); c.Running && err != nil {
		return launch.StatusFailed, err
	}
	e := enterOptions(c)
	e.Args, e.Terminal, e.Detach, e.Signals = o.Args, o.Terminal && !o.Detach, o.Detach, true
	if o.User != "" {
		e.User = o.User
	}
	if o.Workdir != "" {
		e.Workdir = o.Workdir
	}
	env, err := ResolveEnv(o.Env, os.LookupEnv)
	if err != nil {
		return launch.StatusFailed, err
	}
	e.Env = slices.Clone(e.Env)
	if term, ok := os.LookupEnv("TERM"); ok && o.Terminal {
		e.Env = append(e.Env, "TERM="+term)
	}
	e.Env = append(e.Env, env...)
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return launch.StatusFailed, err
	}
	defer null.Close()
	e.Stdio = []*os.File{os.Stdin, os.Stdout, os.Stderr}
	if !o.Interactive {
		e.Stdio[0] = null
	}
	if o.Detach {
		e.Stdio = []*os.File{null, null, null}
	}
	status, err = launch.Enter(e)
	return status, explainNotRunning(c, err)
}

// ResolveEnv returns vars with the values that K, without a value, has in the environment of the
// caller; without those that it does not have.
func ResolveEnv(vars []string, lookup func(string) (string, bool)) ([]string, error) {
	var env []string
	for _, v := range vars {
		name, _, given := strings.Cut(v, "=")
		if name == "" {
			return nil, fmt.Errorf("environment variable %q: must be NAME=VALUE, or NAME to pass it through", v)
		}
		if !given {
			value, ok := lookup(name)
			if !ok {
				continue
			}
			v = name + "=" + value
		}
		env = append(env, v)
	}
	return env, nil
}

// explainNotRunning names the container in an error about it.
func explainNotRunning(c *storedir.Container, err error) error {
	if errors.Is(err, launch.ErrNotRunning) {
		return fmt.Errorf("container %s: %w (subuidless start %s starts it)", c.Name, err, c.Name)
	}
	return err
}
