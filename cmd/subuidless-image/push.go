package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/image/reference"
	"github.com/rootless-containers/subuidless/internal/image/transfer"
)

func newPushCommand() *cobra.Command {
	var where cli.StoreFlags
	var how cli.TransferFlags
	cmd := &cobra.Command{
		Use: "push [flags] IMAGE [DESTINATION]",
		Long: `Copy an image of the store to DESTINATION (default: the name IMAGE), in one of the
forms that subuidless pull --help lists. The digest of the image is printed. An image
that the store has for several platforms is pushed with all of them, unless --platform
chooses one.`,
		Example: `  subuidless push my/tool registry.example/my/tool:1.0
  subuidless push my/tool oci:./layout:1.0`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, known, err := openStoreAndRegistries(where)
			if err != nil {
				return err
			}
			image, err := s.FindFor(args[0], how.Platform, known.Aliases)
			if err != nil {
				return err
			}
			destination := image.Name
			if len(args) > 1 {
				destination = args[1]
			}
			if destination == "" {
				return errors.New("push: the image has no name; give DESTINATION")
			}
			to, err := reference.Parse(destination, nil)
			if err != nil {
				return err
			}
			o := transferOptions(how, known)
			ctx, stop := interruptible()
			defer stop()
			err = transfer.Push(ctx, s, image, to, o)
			o.Progress.Wait()
			if err != nil {
				return explainInterrupt(ctx, err, pushedIsKept)
			}
			fmt.Fprintln(cmd.OutOrStdout(), image.Top().Digest)
			return nil
		},
		ValidArgsFunction: imageNames,
	}
	where.Add(cmd)
	how.Add(cmd, true)
	return cmd
}
