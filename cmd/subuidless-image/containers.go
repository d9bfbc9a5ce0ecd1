package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/image/container"
	"github.com/rootless-containers/subuidless/internal/image/store"
)

func newPsCommand() *cobra.Command {
	var where cli.StoreFlags
	var all, quiet, full bool
	var format string
	cmd := &cobra.Command{
		Use:  "ps [flags]",
		Long: `List the running containers that subuidless run has made of images.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := openStore(where)
			if err != nil {
				return err
			}
			containers, err := s.Containers()
			if err != nil {
				return err
			}
			shown := []*store.Container{}
			for _, c := range containers {
				if c.Running || all {
					shown = append(shown, c)
				}
			}
			if format == "json" {
				e := json.NewEncoder(cmd.OutOrStdout())
				e.SetIndent("", "    ")
				return e.Encode(shown)
			}
			if format != "" {
				return fmt.Errorf("format %q: only json is supported", format)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 3, ' ', 0)
			if !quiet {
				fmt.Fprintln(w, "CONTAINER ID\tIMAGE\tCOMMAND\tCREATED\tSTATUS\tNAMES")
			}
			for _, c := range shown {
				id, command := c.ID[:12], strings.Join(c.Command, " ")
				if full {
					id = c.ID
				} else if runes := []rune(command); len(runes) > 24 {
					command = string(runes[:23]) + "…"
				}
				if quiet {
					fmt.Fprintln(w, id)
					continue
				}
				fmt.Fprintf(w, "%s\t%s\t%q\t%s\t%s\t%s\n", id, c.Image, command, ago(c.Created), state(c), c.Name)
			}
			return w.Flush()
		},
	}
	flags := cmd.Flags()
	flags.BoolVarP(&all, "all", "a", false, "also list containers that do not run")
	flags.BoolVarP(&quiet, "quiet", "q", false, "print ids only")
	flags.BoolVar(&full, "no-trunc", false, "do not shorten what is printed")
	flags.StringVar(&format, "format", "", "`json` prints JSON")
	where.Add(cmd)
	return cmd
}

// state returns the state of a container, as docker prints it.
func state(c *store.Container) string {
	switch {
	case c.Running:
		return "Up since " + c.Created.Format(time.TimeOnly)
	case c.Finished.IsZero():
		return "Killed"
	}
	return fmt.Sprintf("Exited (%d) %s", c.ExitCode, ago(c.Finished))
}

func newRmCommand() *cobra.Command {
	var where cli.StoreFlags
	var force bool
	cmd := &cobra.Command{
		Use:  "rm [flags] CONTAINER...",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return forContainers(where, args, func(s *store.Store, c *store.Container) error {
				if c.Running {
					if !force {
						return fmt.Errorf("container %s is running; stop it first (subuidless stop %s), or use --force", c.Name, c.Name)
					}
					if _, err := container.Signal(c, unix.SIGKILL, time.Minute); err != nil {
						return err
					}
				}
				if err := s.RemoveContainer(c); err != nil {
					return err
				}
				fmt.Fprintln(cmd.OutOrStdout(), c.Name)
				return nil
			})
		},
		ValidArgsFunction: containerNames,
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "kill containers that run")
	where.Add(cmd)
	return cmd
}

func newStopCommand() *cobra.Command {
	var where cli.StoreFlags
	var seconds int
	cmd := &cobra.Command{
		Use: "stop [flags] CONTAINER...",
		Long: `Send containers the stop signal of their image (default SIGTERM), and SIGKILL if
they have not ended after a while.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return forContainers(where, args, func(s *store.Store, c *store.Container) error {
				if err := container.Stop(s, c, time.Duration(seconds)*time.Second); err != nil {
					return err
				}
				fmt.Fprintln(cmd.OutOrStdout(), c.Name)
				return nil
			})
		},
		ValidArgsFunction: containerNames,
	}
	cmd.Flags().IntVarP(&seconds, "time", "t", 10, "`seconds` to wait before SIGKILL")
	where.Add(cmd)
	return cmd
}

// forContainers calls f with each of the containers that args name.
func forContainers(where cli.StoreFlags, args []string, f func(*store.Store, *store.Container) error) error {
	s, err := openStore(where)
	if err != nil {
		return err
	}
	var errs []error
	for _, arg := range args {
		c, err := s.FindContainer(arg)
		if err == nil {
			err = f(s, c)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// containerNames completes the names of containers.
func containerNames(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	s, err := openStore(cli.StoreFlags{})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	containers, err := s.Containers()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, c := range containers {
		names = append(names, c.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
