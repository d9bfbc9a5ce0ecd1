package main

import (
	"errors"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/internal/supervisor"
)

// supervisorFlags adds the flags that say how a container is to be supervised.
func supervisorFlags(cmd *cobra.Command, cfg *supervisor.Config) {
	flags := cmd.Flags()
	flags.StringVar(&cfg.Trace, "trace", "", "append one line per emulated system call to `FILE`")
	flags.Var((*permissions)(&cfg.NoPermissions), "permissions", "whether permissions of files hold for other users than root: on, or off, which is faster")
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

// permissions is the value of --permissions: true is off.
type permissions bool

func (p *permissions) String() string {
	if *p {
		return "off"
	}
	return "on"
}

// Set implements pflag.Value.
func (p *permissions) Set(value string) error {
	switch value {
	case "on":
		*p = false
	case "off":
		*p = true
	default:
		return errors.New("must be on or off")
	}
	return nil
}

// Type implements pflag.Value.
func (p *permissions) Type() string { return "on|off" }
