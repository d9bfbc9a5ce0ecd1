package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/image/container"
	"github.com/rootless-containers/subuidless/internal/image/layer"
	"github.com/rootless-containers/subuidless/internal/image/reference"
	"github.com/rootless-containers/subuidless/internal/image/store"
	"github.com/rootless-containers/subuidless/internal/image/transfer"
)

// warn shows a warning to the user.
func warn(message string) { fmt.Fprintln(os.Stderr, "subuidless: warning:", message) }

func newCpCommand() *cobra.Command {
	var where cli.StoreFlags
	var quiet bool
	o := container.CopyOptions{Warn: warn}
	cmd := &cobra.Command{
		Use: "cp [flags] CONTAINER:SRC DST|-\n  subuidless cp [flags] SRC|- CONTAINER:DST",
		Long: `Copy files or directories between a container, running or not, and the host.
"-" is a tar archive on standard input or output.

Copies on the host belong to you. Copies in the container belong to root, with
--archive to the user and group ids that they have on the host; the files of a tar
archive keep their owners. A path that ends with /. means the contents of the
directory.`,
		Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			from, fromPath, fromContainer := splitContainerPath(args[0])
			to, toPath, toContainer := splitContainerPath(args[1])
			switch {
			case fromContainer && toContainer:
				return errors.New("cp: copying between containers is not supported; copy to the host first, or use a pipe: subuidless cp A:SRC - | subuidless cp - B:DST")
			case fromContainer:
				return forContainers(where, []string{from}, func(_ *store.Store, c *store.Container) error {
					return container.CopyOut(c, fromPath, args[1], o)
				})
			case toContainer:
				return forContainers(where, []string{to}, func(_ *store.Store, c *store.Container) error {
					return container.CopyIn(c, args[0], toPath, o)
				})
			}
			return errors.New("cp: one of the paths must be CONTAINER:PATH")
		},
	}
	cmd.Flags().BoolVarP(&o.Archive, "archive", "a", false, "keep the user and group ids of the host's files")
	cmd.Flags().BoolVarP(&o.Follow, "follow-link", "L", false, "follow a symbolic link that is SRC")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "accepted as in docker: there is no progress to show")
	where.Add(cmd)
	return cmd
}

// splitContainerPath splits CONTAINER:PATH. A path of the host that has a colon begins with / or
// a dot.
func splitContainerPath(text string) (name, path string, ok bool) {
	name, path, ok = strings.Cut(text, ":")
	if !ok || name == "" || strings.ContainsAny(name[:1], "./") || strings.Contains(name, "/") {
		return "", text, false
	}
	return name, path, true
}

func newCommitCommand() *cobra.Command {
	var where cli.StoreFlags
	var format string
	var quiet, pause bool
	o := container.CommitOptions{Warn: warn}
	cmd := &cobra.Command{
		Use: "commit [flags] CONTAINER [IMAGE]",
		Long: `Make an image of a container: the image that it was created from, with a new layer
for what the container has changed, and with its command, user and environment.
Volumes are not included. The id is printed.

INSTRUCTION is CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME
or WORKDIR, as in a Dockerfile.`,
		Example: `  subuidless commit --change 'CMD ["/app"]' --message 'with the app' web registry.example.org/web:2`,
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch format {
			case "oci":
			case "docker":
				o.Docker = true
			default:
				return fmt.Errorf("--format %q: must be oci or docker", format)
			}
			known, err := registries()
			if err != nil {
				return err
			}
			if len(args) > 1 {
				ref, err := reference.Parse(args[1], known.Aliases)
				if err != nil {
					return err
				}
				if ref.Transport != reference.Registry || strings.Contains(ref.Name, "@") {
					return fmt.Errorf("commit: %s cannot be the name of a new image", args[1])
				}
				o.Name = ref.Name
			}
			return forContainers(where, args[:1], func(s *store.Store, c *store.Container) error {
				use, err := s.Use()
				if err != nil {
					return err
				}
				defer use.Unlock()
				ctx, stop := interruptible()
				defer stop()
				base, err := s.Find(c.ImageID, nil)
				if err != nil {
					return err
				}
				o.Created = time.Now().UTC()
				id, err := container.Commit(ctx, s, use, base, c, o)
				if err != nil {
					return explainInterrupt(ctx, err, nothingChanged)
				}
				fmt.Fprintln(cmd.OutOrStdout(), id)
				return nil
			})
		},
		ValidArgsFunction: containerNames,
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.Author, "author", "a", "", "`author` of the image")
	flags.StringVarP(&o.Message, "message", "m", "", "`comment` in the history of the image")
	flags.StringArrayVarP(&o.Changes, "change", "c", nil, "change the image's configuration with an `INSTRUCTION`; may be repeated")
	flags.StringVarP(&format, "format", "f", "oci", "`kind` of media types: oci or docker")
	flags.BoolVarP(&pause, "pause", "p", false, "accepted as in podman: containers are not paused")
	flags.BoolVarP(&quiet, "quiet", "q", false, "accepted as in podman: there is no progress to show")
	where.Add(cmd)
	return cmd
}

func newDiffCommand() *cobra.Command {
	var where cli.StoreFlags
	cmd := &cobra.Command{
		Use:  "diff CONTAINER",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return forContainers(where, args, func(s *store.Store, c *store.Container) error {
				return container.Changes(s, c, func(change layer.Change) error {
					_, err := fmt.Fprintln(cmd.OutOrStdout(), change.Kind, change.Path)
					return err
				})
			})
		},
		ValidArgsFunction: containerNames,
	}
	where.Add(cmd)
	return cmd
}

func newExportCommand() *cobra.Command {
	var where cli.StoreFlags
	var output string
	cmd := &cobra.Command{
		Use:  "export [flags] CONTAINER",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return forContainers(where, args, func(_ *store.Store, c *store.Container) error {
				ctx, stop := interruptible()
				defer stop()
				err := transfer.SaveFile(ctx, output, func(w io.Writer) error { return container.Export(c, w, warn) })
				return explainInterrupt(ctx, err, nothingChanged)
			})
		},
		ValidArgsFunction: containerNames,
	}
	cmd.Flags().StringVarP(&output, "output", "o", "-", "`file` to write; - is the standard output")
	where.Add(cmd)
	return cmd
}
