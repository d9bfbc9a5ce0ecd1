package main

import (
	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/program"
)

// newImageCommand returns a command that the image program executes. Help and completions of
// its arguments are also from there.
func newImageCommand(c cli.ImageCommand) *cobra.Command {
	cmd := &cobra.Command{
		Use:                c.Name,
		GroupID:            c.Group,
		Short:              c.Short,
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if c.Name == "container" && len(args) > 0 && args[0] == "exec" { // which is a command of this program
				cmd.Root().SetArgs(args)
				return cmd.Root().Execute()
			}
			return program.ExecImage()
		},
		ValidArgsFunction: completeByImageProgram,
	}
	cmd.SetHelpFunc(func(*cobra.Command, []string) { cli.Exit(1, program.ExecImage()) })
	return cmd
}

// completeByImageProgram has the image program complete the command line.
func completeByImageProgram(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	cobra.CompErrorln(program.ExecImage().Error())
	return nil, cobra.ShellCompDirectiveError
}
