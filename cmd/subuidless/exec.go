package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/internal/launch"
)

func newExecCommand() *cobra.Command {
	var o launch.ExecOptions
	cmd := &cobra.Command{
		Use:   "exec [flags] [--] COMMAND [ARG...]",
		Short: "Run a command on the host's own files, as a root that owns every id",
		Long: `Run a command on the host's own files in a new user namespace, in which it is
root. Owners that it sets are recorded in the files, and are there again the
next time. Within an already supervised tree it simply runs the command.

The exit status is that of the command; 128+N if signal N killed it; 127 if it
is not found, 126 if it cannot be executed, 125 if subuidless itself failed.`,
		Example: `  subuidless exec -- sh -c 'touch foo && chown 42:42 foo && ls -ln foo'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				exit(launch.StatusFailed, errors.New("exec: no COMMAND given; see subuidless exec --help"))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			o.Args = args
			if err := makeAbsolute(&o.Supervisor.Trace, &o.Supervisor.Sidecar); err != nil {
				return err
			}
			exit(launch.Exec(o))
			return nil
		},
	}
	supervisorFlags(cmd, &o.Supervisor)
	// What follows the command is the command's own.
	cmd.Flags().SetInterspersed(false)
	cmd.SetFlagErrorFunc(wrongFlag)
	return cmd
}

// wrongFlag ends subuidless with a status that no command that it runs has.
func wrongFlag(cmd *cobra.Command, err error) error {
	exit(launch.StatusFailed, fmt.Errorf("%s: %w; see subuidless %s --help", cmd.Name(), err, cmd.Name()))
	return nil
}

// exit ends subuidless with the status of the command that it ran.
func exit(status int, err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "subuidless:", err)
	}
	os.Exit(status)
}
