package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/image/store"
	"github.com/rootless-containers/subuidless/internal/image/transfer"
)

func newSaveCommand() *cobra.Command {
	var where cli.StoreFlags
	var output, format, platform string
	cmd := &cobra.Command{
		Use: "save [flags] IMAGE...",
		Long: `Write images to a file, or to the standard output if that is no terminal. Docker,
podman and subuidless load can read it. An image that the store has for several
platforms needs --format oci-archive, oci-dir or docker-dir, or --platform.`,
		Example: `  subuidless save -o alpine.tar alpine
  subuidless save --format oci-dir -o ./layout alpine debian`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if output == "-" {
				if _, err := unix.IoctlGetTermios(int(os.Stdout.Fd()), unix.TCGETS); err == nil {
					return errors.New("save: the standard output is a terminal; use --output FILE, or redirect it")
				}
			}
			s, known, err := openStoreAndRegistries(where)
			if err != nil {
				return err
			}
			var images []*store.Image
			for _, arg := range args {
				image, err := s.FindFor(arg, platform, known.Aliases)
				if err != nil {
					return err
				}
				images = append(images, image)
			}
			ctx, stop := interruptible()
			defer stop()
			return explainInterrupt(ctx, transfer.Save(ctx, s, images, format, output), nothingChanged)
		},
		ValidArgsFunction: imageNames,
	}
	cmd.Flags().BoolP("quiet", "q", false, "accepted as in podman: there is no progress to hide")
	cmd.Flags().StringVarP(&output, "output", "o", "-", "`path` to write to")
	cmd.Flags().StringVar(&format, "format", transfer.FormatDockerArchive, "`kind` of archive or directory: docker-archive, oci-archive, oci-dir or docker-dir")
	cmd.Flags().StringVar(&platform, "platform", "", "of an image for several platforms, write only that for `OS/ARCH[/VARIANT]`")
	where.Add(cmd)
	return cmd
}
