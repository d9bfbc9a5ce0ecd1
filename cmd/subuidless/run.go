package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/image/storedir"
	"github.com/rootless-containers/subuidless/internal/launch"
	"github.com/rootless-containers/subuidless/internal/program"
)

func newRunCommand() *cobra.Command { return cli.NewRunCommand(run, completeByImageProgram) }

// run runs a root file system, and leaves images to the image program.
func run(cmd *cobra.Command, r *cli.Run) error {
	if !isRootfs(r) {
		cli.Exit(launch.StatusFailed, fmt.Errorf("run: %w; for a root file system, give the path of an existing directory", program.ExecImage()))
	}
	o, err := r.Rootfs(cmd)
	if err != nil {
		cli.Exit(launch.StatusFailed, err)
	}
	cli.Exit(launch.Run(o))
	return nil
}

// isRootfs reports whether the user wants to run a root file system. A directory without a
// slash in its name is one unless the store has an image of that name; without a store, there
// is no image, and otherwise the image program looks it up.
func isRootfs(r *cli.Run) bool {
	if cli.IsPath(r.Target) {
		return true
	}
	st, err := os.Stat(r.Target)
	if err != nil {
		return false
	}
	if strings.Contains(r.Target, "/") || !st.IsDir() {
		return strings.Contains(r.Target, "/")
	}
	store := r.Image.Store.Root
	if store == "" {
		if store, err = storedir.Default(); err != nil {
			return true
		}
	}
	_, err = os.Stat(filepath.Join(store, storedir.Index))
	return err != nil
}
