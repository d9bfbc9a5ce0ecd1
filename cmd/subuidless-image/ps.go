package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/image/container"
	"github.com/rootless-containers/subuidless/internal/image/running"
	"github.com/rootless-containers/subuidless/internal/image/store"
	"github.com/rootless-containers/subuidless/internal/image/transfer"
)

// psTable is the format of ps without --format.
const psTable = "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}"

// psHeaders are the headers of the columns, by field; those of others are the name in capitals.
var psHeaders = map[string]string{"ID": "CONTAINER ID", "RunningFor": "CREATED", "CreatedAt": "CREATED AT", "ExitCode": "EXIT CODE", "ImageID": "IMAGE ID"}

// sized is a container and how large it is, if that is known.
type sized struct {
	*store.Container
	known        bool
	changed, all int64 // bytes: see container.Sizes
}

// psOrders are those of podman.
var psOrders = orders[*sized]{
	"command":    by(func(c *sized) string { return strings.Join(c.Command, " ") }),
	"created":    func(a, b *sized) int { return a.Created.Compare(b.Created) },
	"id":         by(func(c *sized) string { return c.ID }),
	"image":      by(func(c *sized) string { return c.Image }),
	"names":      by(func(c *sized) string { return c.Name }),
	"runningfor": func(a, b *sized) int { return a.State.Started.Compare(b.State.Started) },
	"size":       by(func(c *sized) int64 { return c.changed }),
	"status":     by(func(c *sized) string { return container.State(c.Container) }),
}

func newPsCommand() *cobra.Command {
	var where cli.StoreFlags
	var all, full, latest, size bool
	var last int
	var order string
	var out listFlags
	var filters []string
	cmd := &cobra.Command{
		Use: "ps [flags]",
		Long: `List the running containers that subuidless run has made of images.

The fields of --format are ID, Image, ImageID, Command, CreatedAt, RunningFor, Ports,
State, Status, Names, Labels, Mounts, Networks, Pid, ExitCode and Size; Label "K" is
one label. The keys of --filter are ancestor, before, exited, health, id, label, name,
since, status and volume.`,
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
			var list []*sized
			for _, c := range containers {
				if !wanted(c) || !all && !byState && last == 0 && !isUp(c) {
					continue
				}
				if list = append(list, &sized{Container: c}); len(list) == last {
					break
				}
			}
			table := psTable
			size = size || order == "size" || strings.Contains(out.format, ".Size")
			if size {
				addSizes(s, list)
				table += "\t{{.Size}}"
			}
			if err := psOrders.sort(list, order); err != nil {
				return err
			}
			rows := []container.Row{}
			for _, c := range list {
				r := container.RowOf(c.Container, full)
				if c.known {
					r.Size = fmt.Sprintf("%s (virtual %s)", transfer.Bytes(c.changed), transfer.Bytes(c.all))
				}
				rows = append(rows, r)
			}
			return formatList(cmd.OutOrStdout(), rows, out.template(table), psHeaders)
		},
	}
	flags := cmd.Flags()
	flags.BoolVarP(&all, "all", "a", false, "also list containers that are not running")
	out.add(flags, "print ids only")
	flags.BoolVar(&full, "no-trunc", false, "do not shorten what is printed")
	flags.BoolVarP(&latest, "latest", "l", false, "list the newest container, running or not")
	flags.IntVarP(&last, "last", "n", 0, "list this `number` of newest containers, running or not")
	flags.StringArrayVarP(&filters, "filter", "f", nil, "list only containers with `KEY=VALUE`; may be repeated")
	flags.BoolVarP(&size, "size", "s", false, "show how large the files are that each has changed, and all of its files")
	psOrders.add(cmd, &order, "the newest first")
	where.Add(cmd)
	return cmd
}

// addSizes finds out how large the containers are. One that ends or changes its files meanwhile is no reason
// not to list the others.
func addSizes(s *store.Store, list []*sized) {
	sizes := container.Sizes{Store: s}
	for _, c := range list {
		var err error
		if c.changed, c.all, err = sizes.Of(c.Container); err != nil {
			fmt.Fprintf(os.Stderr, "subuidless: warning: the size of container %s is unknown: %v\n", c.Name, err)
		}
		c.known = err == nil
	}
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
