package main

import (
	"cmp"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/image/transfer"
)

func newLoadCommand() *cobra.Command {
	var where cli.StoreFlags
	var input string
	var quiet bool
	cmd := &cobra.Command{
		Use: "load [flags]",
		Long: `Read all images of an archive that docker save, podman save or subuidless save has
written, or of an OCI image layout, with the names that they have there.`,
		Example: `  subuidless load -i alpine.tar
  docker save alpine | subuidless load`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := openStore(where)
			if err != nil {
				return err
			}
			how := cli.TransferFlags{TLSVerify: true, Quiet: quiet}
			o := transferOptions(how, nil)
			ctx, stop := interruptible()
			defer stop()
			images, err := transfer.Load(ctx, s, input, o)
			o.Progress.Wait()
			for _, i := range images {
				fmt.Fprintln(cmd.OutOrStdout(), "Loaded image:", cmp.Or(i.Name, i.ID().String()))
			}
			return explainInterrupt(ctx, err, fetchedIsKept)
		},
	}
	cmd.Flags().StringVarP(&input, "input", "i", "-", "`path` of the archive or directory; - is the standard input")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "show no progress")
	where.Add(cmd)
	return cmd
}
