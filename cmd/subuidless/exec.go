package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/launch"
)

func newExecCommand() *cobra.Command {
	var o launch.ExecOptions
	var accelerate func() error
	cmd := &cobra.Command{
		Use:     "exec [flags] [--] COMMAND [ARG...]",
		GroupID: cli.GroupRun,
		Short:   "Run a command as root with every user id, on the host's own files",
		Long: `Run a command as root of a new user namespace, on the host's own files.
Ownership changes are stored with the files and persist between runs. Inside a
tree of processes that subuidless already supervises, exec just runs the command.

The exit status is that of the command; 128+N if signal N killed it; 127 if the
command was not found, 126 if it cannot be executed, and 125 if subuidless itself
failed.`,
		Example: `  subuidless exec -- sh -c 'touch foo && chown 42:42 foo && ls -ln foo'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				cli.Exit(launch.StatusFailed, errors.New("exec: no COMMAND given; see subuidless exec --help"))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			o.Args = args
			if err := cli.MakeAbsolute(&o.Supervisor.Trace, &o.Supervisor.Sidecar); err != nil {
				return err
			}
			if err := accelerate(); err != nil {
				cli.Exit(launch.StatusFailed, err)
			}
			cli.Exit(launch.Exec(o))
			return nil
		},
	}
	cli.AddSupervisorFlags(cmd, &o.Supervisor)
	accelerate = cli.AddAccelerateFlags(cmd, &o.Supervisor)
	cmd.Flags().SetInterspersed(false) // flags after COMMAND are the command's own
	cmd.SetFlagErrorFunc(cli.ExitFlagError)
	return cmd
}
