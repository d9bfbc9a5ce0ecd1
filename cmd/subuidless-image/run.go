package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/image/container"
	"github.com/rootless-containers/subuidless/internal/image/prepared"
	"github.com/rootless-containers/subuidless/internal/image/reference"
	"github.com/rootless-containers/subuidless/internal/image/running"
	"github.com/rootless-containers/subuidless/internal/image/store"
	"github.com/rootless-containers/subuidless/internal/image/transfer"
	"github.com/rootless-containers/subuidless/internal/launch"
)

func newRunCommand() *cobra.Command {
	return cli.NewRunCommand(func(cmd *cobra.Command, r *cli.Run) error {
		cli.Exit(run(cmd, r))
		return nil
	}, imageNames)
}

// run runs a container. The main program has found that r.Target may be the name of an image. In
// the foreground, run returns only if it fails.
func run(cmd *cobra.Command, r *cli.Run) (status int, err error) {
	known, err := registries()
	if err != nil {
		return launch.StatusFailed, err
	}
	s, err := openStore(r.Image.Store)
	if err != nil {
		return launch.StatusFailed, err
	}
	if st, err := os.Stat(r.Target); err == nil && st.IsDir() && !s.IsName(r.Target, known.Aliases) {
		o, err := r.Rootfs(cmd)
		if err == nil {
			err = prepared.Container{Launch: o}.Exec(mainProgram)
		}
		return launch.StatusFailed, err
	}
	c, lock, err := create(s, known, r)
	if err != nil {
		return exitStatus(err, launch.StatusFailed), err
	}
	if !r.Image.Detach {
		return launch.StatusFailed, prepared.Container{Dir: c.Dir, Lock: lock.File}.Exec(mainProgram)
	}
	if status, err = running.Detach(mainProgram, c, lock); status == 0 && err == nil {
		fmt.Fprintln(cmd.OutOrStdout(), c.ID)
	}
	return status, err
}

func newCreateCommand() *cobra.Command {
	return cli.NewCreateCommand(func(cmd *cobra.Command, r *cli.Run) error {
		known, err := registries()
		if err != nil {
			return err
		}
		s, err := openStore(r.Image.Store)
		if err != nil {
			return err
		}
		c, lock, err := create(s, known, r)
		if err != nil {
			return err
		}
		lock.Unlock()
		fmt.Fprintln(cmd.OutOrStdout(), c.ID)
		return nil
	}, imageNames)
}

// create creates a container of an image, which it pulls if needed.
func create(s *store.Store, known *reference.Registries, r *cli.Run) (*store.Container, store.Lock, error) {
	o, err := createOptions(r)
	if err != nil {
		return nil, store.Lock{}, err
	}
	id, err := newIDFile(r.Image.IDFile)
	if err != nil {
		return nil, store.Lock{}, err
	}
	ctx, stop := interruptible()
	defer stop() // from then on, signals are for the command
	c, lock, err := obtainAndCreate(ctx, s, known, r, o)
	if err != nil {
		return nil, lock, errors.Join(explainInterrupt(ctx, err, fetchedIsKept), id.abandon())
	}
	return c, lock, id.write(c.ID)
}

func obtainAndCreate(ctx context.Context, s *store.Store, known *reference.Registries, r *cli.Run, o container.CreateOptions) (*store.Container, store.Lock, error) {
	use, err := s.Use() // afterwards, the container keeps its layers
	if err != nil {
		return nil, store.Lock{}, err
	}
	defer use.Unlock()
	image, err := transfer.Obtain(ctx, s, use, r.Target, r.Image.Pull, transferOptions(r.Image.Transfer, known))
	if err != nil {
		return nil, store.Lock{}, err
	}
	if r.Image.Replace {
		if err := removeNamed(s, o.Name); err != nil {
			return nil, store.Lock{}, fmt.Errorf("--replace: %w", err)
		}
	}
	return container.Create(ctx, s, use, image, o)
}

// removeNamed removes the container with the name, if there is one.
func removeNamed(s *store.Store, name string) error {
	all, _, err := s.Containers()
	for _, c := range all {
		if c.Name == name {
			return running.Remove(c, true)
		}
	}
	return err
}

// createOptions checks what the user has set.
func createOptions(r *cli.Run) (o container.CreateOptions, err error) {
	i := &r.Image
	o = container.CreateOptions{
		Image: r.Target, Args: r.Command, Entrypoint: i.Entrypoint, Name: i.Name, Labels: i.Labels, Notes: i.Notes, VolumesFrom: i.Sources, Remove: i.Remove,
		Terminal: i.Terminal, OpenStdin: i.OpenStdin, StopSignal: i.StopSignal, StopTime: i.StopTime,
		Health: container.Health(i.Health), Launch: r.Launch,
	}
	if o.Driver, err = container.ParseDriver(i.Driver); err != nil {
		return o, err
	}
	switch i.Pull {
	case transfer.PullMissing, transfer.PullAlways, transfer.PullNever:
	default:
		return o, fmt.Errorf("--pull %q: must be missing, always or never", i.Pull)
	}
	if i.Restart != "no" {
		return o, fmt.Errorf("--restart %q: only no is supported, because there is no daemon; let systemd or another supervisor run subuidless run", i.Restart)
	}
	switch i.LogDriver {
	case "k8s-file":
	case "none":
		o.NoLog = true
	default:
		return o, fmt.Errorf("--log-driver %q: must be k8s-file or none", i.LogDriver)
	}
	return o, setLogOptions(&o, i.LogOptions)
}

// setLogOptions sets what --log-opt says.
func setLogOptions(o *container.CreateOptions, options []string) error {
	for _, text := range options {
		key, value, _ := strings.Cut(text, "=")
		var err error
		switch key {
		case "max-size":
			if value != "-1" { // docker's word for no limit
				o.LogSize, err = cli.ParseBytes(value)
			}
		case "max-file":
			if o.LogFiles, err = strconv.Atoi(value); err != nil || o.LogFiles < 1 || o.LogFiles > 1000 {
				err = fmt.Errorf("%q must be a number from 1 to 1000", value)
			}
		default:
			err = errors.New("must be max-size=SIZE or max-file=NUMBER")
		}
		if err != nil {
			return fmt.Errorf("--log-opt %s: %w", text, err)
		}
	}
	if o.LogFiles > 1 && o.LogSize == 0 {
		return errors.New("--log-opt max-file needs --log-opt max-size")
	}
	return nil
}

// idFile is the file of --cidfile; nil: there is none.
type idFile struct{ *os.File }

func newIDFile(name string) (*idFile, error) {
	if name == "" {
		return nil, nil
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("--cidfile %s: it exists, maybe of another container: remove it, or choose another name", name)
	}
	return &idFile{f}, err
}

func (f *idFile) write(id string) error {
	if f == nil {
		return nil
	}
	_, err := f.WriteString(id)
	return errors.Join(err, f.Close())
}

func (f *idFile) abandon() error {
	if f == nil {
		return nil
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
