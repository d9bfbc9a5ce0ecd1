package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/image/reference"
	"github.com/rootless-containers/subuidless/internal/image/transfer"
)

func newPullCommand() *cobra.Command {
	var where cli.StoreFlags
	var how cli.TransferFlags
	cmd := &cobra.Command{
		Use: "pull [flags] IMAGE...",
		Long: `Fetch images, verify their digests, and unpack them with their owners, without
supervision or privileges. The id of each image is printed.

IMAGE is a name as in docker, or TRANSPORT:PLACE as in skopeo:

  alpine                     docker.io/library/alpine:latest
  ghcr.io/owner/name:tag     a tag of a registry
  NAME@sha256:DIGEST         exactly this image
  docker://NAME              the same as NAME
  oci:DIR[:TAG]              an OCI image layout
  oci-archive:FILE[:TAG]     a tar archive of one
  docker-archive:FILE[:NAME] an archive of docker save
  dir:DIR                    a directory of skopeo copy

Short names mean the same as in docker, unless a table [aliases] in registries.conf
has them. Proxies are taken from HTTP_PROXY, HTTPS_PROXY and NO_PROXY.`,
		Example: `  subuidless pull alpine
  subuidless pull --platform linux/arm64 docker.io/library/postgres:17`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, known, err := openStoreAndRegistries(where)
			if err != nil {
				return err
			}
			for _, arg := range args {
				ref, err := reference.Parse(arg, known.Aliases)
				if err != nil {
					return err
				}
				o := transferOptions(how, known)
				ctx, stop := interruptible()
				image, err := transfer.Pull(ctx, s, ref, nil, o)
				err = explainInterrupt(ctx, err, fetchedIsKept)
				stop()
				o.Progress.Wait()
				if err != nil {
					return err
				}
				fmt.Fprintln(cmd.OutOrStdout(), image.ID().Hex)
			}
			return nil
		},
	}
	where.Add(cmd)
	how.Add(cmd, true)
	return cmd
}
