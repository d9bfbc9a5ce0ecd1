package main

import (
	"errors"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/doctor"
)

func newDoctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "doctor [DIR]",
		GroupID: cli.GroupOther,
		Short:   "Check what this machine supports, and what is missing",
		Long: `Try the features that subuidless uses: those of the kernel, those that the
administrator may forbid, and those of the file system of DIR (default: the
current directory).

Each line begins with a verdict: ok; missing (subuidless cannot run without it);
degraded (it can, and the line says what does not work); or note (for
information only). The exit status is 1 if something is missing.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "."
			if len(args) > 0 {
				dir = args[0]
			}
			dir, err := filepath.Abs(dir)
			if err != nil {
				return err
			}
			findings := doctor.Examine(doctor.NewMachine(dir), doctor.Checks)
			if err := doctor.Print(cmd.OutOrStdout(), findings); err != nil {
				return err
			}
			if doctor.Missing(findings) > 0 {
				return errors.New("a required feature is missing")
			}
			return nil
		},
	}
}
