package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/internal/accelerate"
	"github.com/rootless-containers/subuidless/internal/isolation"
	"github.com/rootless-containers/subuidless/internal/supervisor"
)

// AddSupervisorFlags adds the flags that the supervisors of containers have in common,
// and that set the fields of cfg.
func AddSupervisorFlags(cmd *cobra.Command, cfg *supervisor.Config) {
	flags := cmd.Flags()
	flags.StringVar(&cfg.Trace, "trace", "", "append a line to `FILE` for each emulated system call, in the style of strace")
	AddPermissionsFlag(cmd, &cfg.NoPermissions, "enforce file permissions for non-root users (off is faster)")
	flags.StringVar(&cfg.Sidecar, "sidecar", "", "store in `DIR` the owners of files that cannot carry extended attributes\n(default ~/.local/state/subuidless/sidecar)")
}

// CompleteFlag has shells complete the values of a flag.
func CompleteFlag(cmd *cobra.Command, flag string, values ...string) {
	if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // a mistake of the caller: there is no such flag
	}
}

// AddSummaryFlag adds the flag that sets *summary.
func AddSummaryFlag(cmd *cobra.Command, summary *bool) {
	cmd.Flags().BoolVar(summary, "trace-summary", false, "at the end, print how often each system call was emulated, and how long that\ntook, in the style of strace -c")
}

// accelerateFrom makes --accelerate=on the default, with this --accelerate-after, or off if it is 0.
// It is set by the linker, for tests that run everything in one of these ways:
//
//	go build -ldflags "-X github.com/rootless-containers/subuidless/cmd/internal/cli.accelerateFrom=1"
var accelerateFrom string

// AddAccelerateFlags adds the flags about accelerated processes. Set sets cfg.Accelerate when
// they have been parsed; it fails if this machine cannot accelerate processes, but must.
func AddAccelerateFlags(cmd *cobra.Command, cfg *supervisor.Config) (set func() error) {
	mode := accelerateAuto
	after := uint32(accelerate.DefaultAfter)
	if n, err := strconv.ParseUint(accelerateFrom, 10, 32); err == nil {
		mode, after = accelerateOn, uint32(n)
		if n == 0 {
			mode = accelerateOff
		}
	}
	flags := cmd.Flags()
	flags.Var(&mode, "accelerate", "let processes answer some system calls themselves: on, off, or auto, where\nthis machine can and nothing is traced")
	CompleteFlag(cmd, "accelerate", string(accelerateOn), string(accelerateOff), string(accelerateAuto))
	flags.Uint32Var(&after, "accelerate-after", after, "with --accelerate, from the `N`th of such calls on")
	if err := flags.MarkHidden("accelerate-after"); err != nil {
		panic(err) // a mistake in this function: there is no such flag
	}
	return func() error {
		asked := flags.Changed("accelerate") && mode == accelerateOn
		switch {
		case mode == accelerateOff,
			mode == accelerateAuto && (flags.Changed("trace") || flags.Changed("trace-summary")),
			!asked && (supervisor.Active() || isolation.Current() == isolation.Chroot):
			return nil
		}
		if err := accelerate.Supported(); err != nil {
			if mode == accelerateAuto {
				return nil
			}
			return fmt.Errorf("--accelerate=on: %w", err)
		}
		cfg.Accelerate = max(after, 1)
		return nil
	}
}

// accelerateMode is the pflag.Value of --accelerate=on|off|auto.
type accelerateMode string

const (
	accelerateOn   accelerateMode = "on"
	accelerateOff  accelerateMode = "off"
	accelerateAuto accelerateMode = "auto"
)

// String implements pflag.Value.
func (m *accelerateMode) String() string { return string(*m) }

// Set implements pflag.Value.
func (m *accelerateMode) Set(value string) error {
	switch mode := accelerateMode(value); mode {
	case accelerateOn, accelerateOff, accelerateAuto:
		*m = mode
		return nil
	}
	return errors.New("must be on, off or auto")
}

// Type implements pflag.Value.
func (m *accelerateMode) Type() string { return "on|off|auto" }

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

// AddPermissionsFlag adds the flag --permissions.
func AddPermissionsFlag(cmd *cobra.Command, off *bool, usage string) {
	cmd.Flags().Var((*Permissions)(off), "permissions", usage)
	CompleteFlag(cmd, "permissions", "on", "off")
}

// String implements pflag.Value.
func (p *Permissions) String() string {
	if *p {
		return "off"
	}
	return "on"
}

// Set implements pflag.Value.
func (p *Permissions) Set(value string) error {
	var on onOff
	err := on.Set(value)
	if err == nil {
		*p = Permissions(!on)
	}
	return err
}

// Type implements pflag.Value.
func (p *Permissions) Type() string { return "on|off" }

// onOff is the pflag.Value of a flag --NAME=on|off.
type onOff bool

// String implements pflag.Value.
func (o *onOff) String() string {
	if *o {
		return "on"
	}
	return "off"
}

// Set implements pflag.Value.
func (o *onOff) Set(value string) error {
	switch value {
	case "on":
		*o = true
	case "off":
		*o = false
	default:
		return errors.New("must be on or off")
	}
	return nil
}

// Type implements pflag.Value.
func (o *onOff) Type() string { return "on|off" }
