package cli

import (
	"errors"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/internal/supervisor"
)

// AddSupervisorFlags adds the flags that the supervisors of containers have in common,
// and that set the fields of cfg.
func AddSupervisorFlags(cmd *cobra.Command, cfg *supervisor.Config) {
	flags := cmd.Flags()
	flags.StringVar(&cfg.Trace, "trace", "", "append a line to `FILE` for each emulated system call, in the style of strace")
	flags.Var((*Permissions)(&cfg.NoPermissions), "permissions", "enforce file permissions for non-root users (off is faster)")
	flags.StringVar(&cfg.Sidecar, "sidecar", "", "store in `DIR` the owners of files that cannot carry extended attributes\n(default ~/.local/state/subuidless/sidecar)")
}

// MakeAbsolute makes paths absolute, because the processes that open them run in another
// working directory. An empty path means that the user gave none, and stays empty.
func MakeAbsolute(paths ...*string) error {
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

// Permissions is the pflag.Value of --permissions=on|off. Its bool is NoPermissions: true
// means off.
type Permissions bool

// String implements pflag.Value.
func (p *Permissions) String() string {
	if *p {
		return "off"
	}
	return "on"
}

// Set implements pflag.Value.
func (p *Permissions) Set(value string) error {
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
func (p *Permissions) Type() string { return "on|off" }
