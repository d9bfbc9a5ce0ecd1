package main

import (
	"errors"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/internal/doctor"
)

func newDoctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor [DIR]",
		Short: "Say what this machine can do for subuidless, and what is missing",
		Long: `Doctor tries out what subuidless uses of this machine: the kernel, what the
administrator allows, the file system of DIR (default: the current directory).

Each line begins with a verdict: ok; missing (subuidless cannot run without it);
degraded (it can, and the line says what is lost); or note. The exit status is 1
when something is missing.`,
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
				return errors.New("something needed is missing")
			}
			return nil
		},
	}
}
