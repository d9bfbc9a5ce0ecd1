package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/image/running"
	"github.com/rootless-containers/subuidless/internal/image/storedir"
	"github.com/rootless-containers/subuidless/internal/launch"
	"github.com/rootless-containers/subuidless/internal/top"
)

// topOptions are the flags of top without a container.
type topOptions struct {
	delay      time.Duration
	iterations int
	json       bool
}

func newTopCommand() *cobra.Command {
	var where cli.StoreFlags
	var o topOptions
	cmd := &cobra.Command{
		Use: "top [flags]\n  subuidless top CONTAINER",
		Long: `Show your containers and sessions whose system calls subuidless emulates (as root, those of
all users): how many processes each has, how many calls are emulated per second,
which, how many fail, and how long the supervisor takes for one. On a terminal, the
calls of the chosen container are below; otherwise, the first table ends the command.

Calls that accelerated processes answer themselves are not counted; the column
ACCELERATED says how many processes have become so. One call of 16 is timed.

With the name or id of a container of an image, list its processes.`,
		Example: `  subuidless top --json -n 1 | jq '.containers[] | {name, callsPerSecond}'`,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return showTop(cmd, where.Dir(), o)
			}
			for _, flag := range []string{"delay", "iterations", "json"} {
				if cmd.Flags().Changed(flag) {
					return fmt.Errorf("--%s is not for one container", flag)
				}
			}
			c, err := findContainer(where, args[0])
			if err != nil {
				return err
			}
			processes, err := running.Top(c)
			if err != nil {
				return err
			}
			const table = "table {{.User}}\t{{.PID}}\t{{.PPID}}\t{{.CPU}}\t{{.Elapsed}}\t{{.TTY}}\t{{.Time}}\t{{.Command}}"
			return formatList(cmd.OutOrStdout(), processes, table, map[string]string{"CPU": "%CPU"})
		},
		ValidArgsFunction: containerNames,
	}
	flags := cmd.Flags()
	flags.DurationVarP(&o.delay, "delay", "d", time.Second, "`time` between two tables")
	flags.IntVarP(&o.iterations, "iterations", "n", 0, "end after this `number` of tables (default: 1, or never on a terminal)")
	flags.BoolVar(&o.json, "json", false, "print each table as a line of JSON")
	where.Add(cmd)
	return cmd
}

// showTop shows all containers; those of the store in dir by their names.
func showTop(cmd *cobra.Command, dir string, o topOptions) error {
	if o.delay <= 0 || o.iterations < 0 {
		return errors.New("--delay must be more than 0, and --iterations not less")
	}
	name := namesIn(dir)
	ctx, stop := signal.NotifyContext(cmd.Context(), unix.SIGINT, unix.SIGTERM)
	defer stop()
	if !o.json && launch.IsTerminal(os.Stdin) && launch.IsTerminal(os.Stdout) {
		return top.Show(ctx, o.delay, o.iterations, name)
	}
	before, err := top.Take()
	if err != nil {
		return err
	}
	for i := 0; i < max(o.iterations, 1); i++ {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(o.delay):
		}
		after, err := top.Take()
		if err != nil {
			return err
		}
		report := top.Compare(before, after, name)
		before = after
		if o.json {
			err = report.PrintJSON(cmd.OutOrStdout())
		} else {
			err = report.Print(cmd.OutOrStdout())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// namesIn returns a function from the id of a container of the store in dir to its name, or to the
// id if the store has none.
func namesIn(dir string) func(id string) string {
	return func(id string) string {
		if c, err := storedir.FindContainer(dir, id); err == nil && c.ID == id && c.Name != "" {
			return c.Name
		}
		return id
	}
}
