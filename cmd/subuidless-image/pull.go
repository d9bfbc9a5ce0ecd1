package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/image/reference"
	"github.com/rootless-containers/subuidless/internal/image/transfer"
)

func newPullCommand() *cobra.Command {
	var where cli.StoreFlags
	var how cli.TransferFlags
	var all, platforms bool
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
has them. With --all-platforms, the image is fetched for all platforms, with whatever
else its index has, such as attestations, and push passes on all of that; the one for
this machine runs. Proxies are taken from HTTP_PROXY, HTTPS_PROXY and NO_PROXY.`,
		Example: `  subuidless pull alpine
  subuidless pull --platform linux/arm64 docker.io/library/postgres:17
  subuidless pull --all-platforms alpine`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, known, err := openStoreAndRegistries(where)
			if err != nil {
				return err
			}
			ctx, stop := interruptible()
			defer stop()
			if platforms && how.Platform != "" {
				return errors.New("pull: --all-platforms and --platform cannot be combined")
			}
			for _, arg := range args {
				refs, err := pullReferences(ctx, arg, all, how, known)
				if err != nil {
					return explainInterrupt(ctx, err, fetchedIsKept)
				}
				for _, ref := range refs {
					o := transferOptions(how, known)
					o.All = platforms
					image, err := transfer.Pull(ctx, s, ref, nil, o)
					o.Progress.Wait()
					if err != nil {
						return explainInterrupt(ctx, err, fetchedIsKept)
					}
					id := image.ID()
					if image.Platforms != nil {
						id = image.Top().Digest
					}
					fmt.Fprintln(cmd.OutOrStdout(), id.Hex)
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&all, "all-tags", "a", false, "pull all tags of the repository IMAGE")
	cmd.Flags().BoolVar(&platforms, "all-platforms", false, "pull the image for all platforms")
	where.Add(cmd)
	how.Add(cmd, true)
	return cmd
}

// pullReferences returns the image that arg names, or, if all is set, one for each tag of the repository
// arg.
func pullReferences(ctx context.Context, arg string, all bool, how cli.TransferFlags, known *reference.Registries) ([]reference.Reference, error) {
	ref, err := reference.Parse(arg, known.Aliases)
	if err != nil || !all {
		return []reference.Reference{ref}, err
	}
	repository := reference.Repository(ref.Name)
	if name := strings.TrimPrefix(arg, "docker://"); ref.Transport != reference.Registry || reference.Repository(name) != name {
		return nil, fmt.Errorf("pull --all-tags %s: must be the name of a repository, without a tag or digest", arg)
	}
	how.Quiet = true
	tags, err := transfer.Tags(ctx, ref, transferOptions(how, known))
	if err != nil {
		return nil, err
	}
	if len(tags) == 0 {
		return nil, fmt.Errorf("pull --all-tags %s: the repository has no tags", arg)
	}
	var refs []reference.Reference
	for _, tag := range tags {
		refs = append(refs, reference.Reference{Transport: reference.Registry, Name: repository + ":" + tag})
	}
	return refs, nil
}
