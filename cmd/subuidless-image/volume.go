package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/image/store"
)

func newVolumeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:  "volume",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newVolumeCreateCommand(), newVolumeInspectCommand(), newVolumeListCommand(), newVolumePruneCommand(), newVolumeRmCommand())
	return cmd
}

func newVolumeCreateCommand() *cobra.Command {
	var where cli.StoreFlags
	var labels []string
	cmd := &cobra.Command{
		Use:   "create [flags] [NAME]",
		Short: "Create a volume, and print its name (default a random one)",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := openStore(where)
			if err != nil {
				return err
			}
			all := map[string]string{}
			for _, l := range labels {
				k, v, _ := strings.Cut(l, "=")
				all[k] = v
			}
			name := rand.Text()
			if len(args) > 0 {
				name = args[0]
			}
			v, err := s.CreateVolume(name, all)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), v.Name)
			return nil
		},
	}
	cmd.Flags().StringArrayVarP(&labels, "label", "l", nil, "label `K=V` of the volume; may be repeated")
	where.Add(cmd)
	return cmd
}

// inspectedVolume is a volume as docker volume inspect prints it.
type inspectedVolume struct {
	Name       string
	Driver     string
	Mountpoint string
	CreatedAt  time.Time
	Labels     map[string]string
	Scope      string
}

func inspectVolume(v *store.Volume) inspectedVolume {
	return inspectedVolume{v.Name, "local", v.Data, v.Created, v.Labels, "local"}
}

func newVolumeInspectCommand() *cobra.Command {
	var where cli.StoreFlags
	var format string
	cmd := &cobra.Command{
		Use:   "inspect [flags] NAME...",
		Short: "Print details of volumes",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := openStore(where)
			if err != nil {
				return err
			}
			var all []inspectedVolume
			for _, arg := range args {
				v, err := s.FindVolume(arg)
				if err != nil {
					return err
				}
				all = append(all, inspectVolume(v))
			}
			if format != "" && format != "json" {
				return formatList(cmd.OutOrStdout(), all, format, nil)
			}
			return writeJSON(cmd.OutOrStdout(), all)
		},
	}
	cmd.Flags().StringVarP(&format, "format", "f", "", "print json, or use a Go `template`: {{.FIELD}}")
	where.Add(cmd)
	return cmd
}

func newVolumeListCommand() *cobra.Command {
	var where cli.StoreFlags
	var out listFlags
	cmd := &cobra.Command{
		Use:     "ls [flags]",
		Aliases: []string{"list"},
		Short:   "List the volumes",
		Long: `List the volumes.

The fields of --format are Name, Driver, Mountpoint, CreatedAt, Labels and Scope.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := openStore(where)
			if err != nil {
				return err
			}
			all, err := s.Volumes()
			if err != nil {
				return err
			}
			var rows []inspectedVolume
			for _, v := range all {
				rows = append(rows, inspectVolume(v))
			}
			format := out.template("table {{.Driver}}\t{{.Name}}")
			if out.quiet {
				format = "{{.Name}}"
			}
			return formatList(cmd.OutOrStdout(), rows, format, map[string]string{"Name": "VOLUME NAME"})
		},
	}
	out.add(cmd.Flags(), "print names only")
	where.Add(cmd)
	return cmd
}

func newVolumePruneCommand() *cobra.Command {
	var f pruneFlags
	var all bool
	cmd := &cobra.Command{
		Use:   "prune [flags]",
		Short: "Remove all volumes that no container uses",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, match, err := f.open()
			if err != nil {
				return err
			}
			if err := f.ask("Remove all volumes that no container uses?"); err != nil {
				return err
			}
			removed, err := s.PruneVolumes(match)
			for _, name := range removed {
				fmt.Fprintln(cmd.OutOrStdout(), "Deleted volume:", name)
			}
			return err
		},
	}
	cmd.Flags().BoolVarP(&all, "all", "a", false, "accepted as in docker: all volumes here have names")
	f.add(cmd, "label")
	return cmd
}

func newVolumeRmCommand() *cobra.Command {
	var where cli.StoreFlags
	var force bool
	cmd := &cobra.Command{
		Use:   "rm [flags] NAME...",
		Short: "Remove volumes that no container uses, and their files",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := openStore(where)
			if err != nil {
				return err
			}
			var errs []error
			for _, arg := range args {
				v, err := s.FindVolume(arg)
				if err == nil {
					err = s.RemoveVolume(v)
				} else if force && errors.Is(err, store.ErrNotFound) {
					continue
				}
				if err == nil {
					fmt.Fprintln(cmd.OutOrStdout(), arg)
				}
				errs = append(errs, err)
			}
			return errors.Join(errs...)
		},
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "do not fail if a volume does not exist")
	where.Add(cmd)
	return cmd
}
