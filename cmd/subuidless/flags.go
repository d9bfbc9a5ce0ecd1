package main

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/internal/supervisor"
)

// supervisorFlags adds the flags that say how a container is to be supervised.
func supervisorFlags(cmd *cobra.Command, cfg *supervisor.Config) {
	flags := cmd.Flags()
	flags.StringVar(&cfg.Trace, "trace", "", "append one line per emulated system call to `FILE`")
	flags.StringVar(&cfg.Sidecar, "sidecar", "", "record the owners of files that cannot carry user.* extended attributes in `DIR`\n(default ~/.local/state/subuidless/sidecar)")
}

// makeAbsolute makes the paths that are given absolute: the processes that get
// them have another working directory.
func makeAbsolute(paths ...*string) error {
	for _, path := range paths {
		if *path == "" {
			continue
		}
		abs, err := filepath.Abs(*path)
		if err != nil {
			return err
		}
		*path = abs
	}
	return nil
}
