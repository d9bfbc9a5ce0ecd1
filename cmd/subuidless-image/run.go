package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/image/container"
	"github.com/rootless-containers/subuidless/internal/image/prepared"
	"github.com/rootless-containers/subuidless/internal/launch"
)

func newRunCommand() *cobra.Command {
	return cli.NewRunCommand(func(cmd *cobra.Command, r *cli.Run) error {
		c, err := prepare(cmd, r)
		if err == nil {
			err = c.Exec(mainProgram)
		}
		cli.Exit(launch.StatusFailed, err)
		return nil
	}, imageNames)
}

// prepare returns the container to run. The main program has found that r.Target may be the
// name of an image.
func prepare(cmd *cobra.Command, r *cli.Run) (*prepared.Container, error) {
	known, err := registries()
	if err != nil {
		return nil, err
	}
	s, err := openStore(r.Image.Store)
	if err != nil {
		return nil, err
	}
	if st, err := os.Stat(r.Target); err == nil && st.IsDir() && !s.IsName(r.Target, known.Aliases) {
		o, err := r.Rootfs(cmd)
		return &prepared.Container{Launch: o}, err
	}
	driver, err := container.ParseDriver(r.Image.Driver)
	if err != nil {
		return nil, err
	}
	switch r.Image.Pull {
	case container.PullMissing, container.PullAlways, container.PullNever:
	default:
		return nil, fmt.Errorf("--pull %q: must be missing, always or never", r.Image.Pull)
	}
	o := container.RunOptions{
		Image: r.Target, Args: r.Command, Entrypoint: r.Image.Entrypoint,
		Name: r.Image.Name, Labels: r.Image.Labels, Remove: r.Image.Remove,
		Pull: r.Image.Pull, Driver: driver,
		Transfer: transferOptions(r.Image.Transfer, known), Launch: r.Launch,
	}
	ctx, stop := interruptible()
	defer stop() // from then on, signals are for the command
	c, err := container.Create(ctx, s, known, o)
	return c, explainInterrupt(ctx, err)
}
