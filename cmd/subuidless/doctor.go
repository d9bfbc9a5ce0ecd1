package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/doctor"
)

func newDoctorCommand() *cobra.Command {
	var hintsFor string
	cmd := &cobra.Command{
		Use:     "doctor [flags] [DIR]",
		GroupID: cli.GroupOther,
		Short:   "Check what this machine supports, and what is missing",
		Long: `Try the features that subuidless uses: those of the kernel, those that the
administrator may forbid, and those of the file system of DIR (default: the
current directory).

Each line begins with a verdict: ok; missing (subuidless cannot run without it);
degraded (it can, and the line says what does not work); or note (for
information only). The exit status is 1 if something is missing.

--fix-hints adds the commands with which the administrator of this machine can fix
what is missing or degraded; --fix-hints=DISTRIBUTION those for another distribution.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "."
			if len(args) > 0 {
				dir = args[0]
			}
			distribution, err := hintDistribution(hintsFor)
			if err != nil {
				return err
			}
			dir, err = filepath.Abs(dir)
			if err != nil {
				return err
			}
			findings := doctor.Examine(doctor.NewMachine(dir), doctor.Checks)
			if err := doctor.Print(cmd.OutOrStdout(), findings); err != nil {
				return err
			}
			if distribution != "" {
				settings, err := doctor.ReadSettings()
				if err != nil {
					return err
				}
				hints := doctor.Hints(findings, settings, distribution)
				if err := doctor.PrintHints(cmd.OutOrStdout(), hints, distribution); err != nil {
					return err
				}
			}
			if doctor.Missing(findings) > 0 {
				return errors.New("a required feature is missing")
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&hintsFor, "fix-hints", "", "say what the administrator can do on a `distribution`: debian, ubuntu, fedora,\nrhel, suse or arch (default that of this machine)")
	cmd.Flags().Lookup("fix-hints").NoOptDefVal = ownDistribution
	var names []string
	for _, d := range doctor.Distributions {
		names = append(names, string(d))
	}
	cli.CompleteFlag(cmd, "fix-hints", names...)
	return cmd
}

// ownDistribution is the value of --fix-hints without a value.
const ownDistribution = "this"

// hintDistribution returns the distribution that a value of --fix-hints means; empty: no hints.
func hintDistribution(value string) (doctor.Distribution, error) {
	switch d := doctor.Distribution(value); {
	case value == "" || slices.Contains(doctor.Distributions, d):
		return d, nil
	case value != ownDistribution:
		return "", fmt.Errorf("--fix-hints=%s: the distributions are %s", value, doctor.Distributions)
	}
	d, ok := doctor.ThisDistribution()
	if !ok {
		return "", fmt.Errorf("--fix-hints: /etc/os-release names no distribution that subuidless knows; choose one of %s", doctor.Distributions)
	}
	return d, nil
}
