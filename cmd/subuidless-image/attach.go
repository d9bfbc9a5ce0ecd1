package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/image/running"
)

func newAttachCommand() *cobra.Command {
	var where cli.StoreFlags
	var noStdin, proxy bool
	cmd := &cobra.Command{
		Use: "attach [flags] CONTAINER",
		Long: `Print what a container in the background writes from now on until it ends, and
return its exit status. If the container was started with --interactive, it reads
your standard input. If it has a terminal, Ctrl-P Ctrl-Q detaches from it.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := findContainer(where, args[0])
			if err != nil {
				return err
			}
			o := running.AttachOptions{Out: cmd.OutOrStdout(), Err: cmd.ErrOrStderr(), Signals: proxy}
			if !noStdin {
				o.In = os.Stdin
			}
			status, err := running.Attach(c, o)
			if err == nil {
				cli.Exit(status, nil)
			}
			return err
		},
		ValidArgsFunction: containerNames,
	}
	cmd.Flags().BoolVar(&noStdin, "no-stdin", false, "do not connect standard input")
	cmd.Flags().BoolVar(&proxy, "sig-proxy", true, "forward the signals that this process gets to the container, unless it has a\nterminal")
	where.Add(cmd)
	return cmd
}
