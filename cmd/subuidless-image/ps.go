package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/image/container"
	"github.com/rootless-containers/subuidless/internal/image/running"
	"github.com/rootless-containers/subuidless/internal/image/store"
)

// psTable is the format of ps without --format.
const psTable = "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}"

// psHeaders are the headers of the columns, by field; those of others are the name in capitals.
var psHeaders = map[string]string{"ID": "CONTAINER ID", "RunningFor": "CREATED", "CreatedAt": "CREATED AT", "ExitCode": "EXIT CODE"}

func newPsCommand() *cobra.Command {
	var where cli.StoreFlags
	var all, full, latest bool
	var last int
	var out listFlags
	var filters []string
	cmd := &cobra.Command{
		Use: "ps [flags]",
		Long: `List the running containers that subuidless run has made of images.

The fields of --format are ID, Image, Command, CreatedAt, RunningFor, Ports, State,
Status, Names, Labels, Mounts, Networks, Pid and ExitCode. The keys of --filter are
ancestor, before, exited, health, id, label, name, since, status and volume.`,
		Example: `  subuidless ps -a --filter status=exited --format '{{.Names}}: {{.Status}}'`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := openStore(where)
			if err != nil {
				return err
			}
			wanted, byState, err := container.ParseFilters(s, filters)
			if err != nil {
				return err
			}
			containers, damaged, err := s.Containers() // the newest first
			if err != nil {
				return err
			}
			printDamaged(damaged)
			if latest {
				last = 1
			}
			rows := []container.Row{}
			for _, c := range containers {
				if !wanted(c) || !all && !byState && last == 0 && !isUp(c) {
					continue
				}
				if rows = append(rows, container.RowOf(c, full)); len(rows) == last {
					break
				}
			}
			if out.isJSON() {
				return writeJSON(cmd.OutOrStdout(), rows)
			}
			return formatList(cmd.OutOrStdout(), rows, out.template(psTable), psHeaders)
		},
	}
	flags := cmd.Flags()
	flags.BoolVarP(&all, "all", "a", false, "also list containers that are not running")
	out.add(flags, "print ids only")
	flags.BoolVar(&full, "no-trunc", false, "do not shorten what is printed")
	flags.BoolVarP(&latest, "latest", "l", false, "list the newest container, running or not")
	flags.IntVarP(&last, "last", "n", 0, "list this `number` of newest containers, running or not")
	flags.StringArrayVarP(&filters, "filter", "f", nil, "list only containers with `KEY=VALUE`; may be repeated")
	where.Add(cmd)
	return cmd
}

// isUp reports whether a container runs, paused or not.
func isUp(c *store.Container) bool {
	state := container.State(c)
	return state == container.StateRunning || state == container.StatePaused
}

func newLogsCommand() *cobra.Command {
	var where cli.StoreFlags
	var tail, since, until string
	o := running.LogOptions{Tail: -1}
	cmd := &cobra.Command{
		Use: "logs [flags] CONTAINER",
		Long: `Print what a container in the background has written to its standard output and
error. Nothing is kept of a container in the foreground, which writes directly to the
user's streams.

TIME is a time as in RFC 3339, a date, seconds since 1970, or how long ago, such as
10m30s.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if o.Tail, err = running.ParseTail(tail); err != nil {
				return err
			}
			if o.Since, err = running.ParseTime(since); err != nil {
				return fmt.Errorf("--since: %w", err)
			}
			if o.Until, err = running.ParseTime(until); err != nil {
				return fmt.Errorf("--until: %w", err)
			}
			c, err := findContainer(where, args[0])
			if err != nil {
				return err
			}
			o.Out, o.Err = cmd.OutOrStdout(), cmd.ErrOrStderr()
			return running.Logs(c, o)
		},
		ValidArgsFunction: containerNames,
	}
	flags := cmd.Flags()
	flags.BoolVarP(&o.Follow, "follow", "f", false, "keep printing until the container ends")
	flags.StringVarP(&tail, "tail", "n", "all", "print only this `number` of lines from the end")
	flags.BoolVarP(&o.Timestamps, "timestamps", "t", false, "print the time of each line")
	flags.StringVar(&since, "since", "", "print only what was written since `TIME`")
	flags.StringVar(&until, "until", "", "print only what was written until `TIME`")
	where.Add(cmd)
	return cmd
}
