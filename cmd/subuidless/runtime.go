package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/ociruntime"
)

func newRuntimeCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "runtime [global options] COMMAND [options] [CONTAINER]",
		GroupID: cli.GroupRuntime,
		Short:   "Act as the OCI runtime of podman, containerd and other engines",
		Long: `Act as an OCI runtime: execute the commands of crun or runc, and supervise the
containers, without an agent. A link to subuidless named subuidless-runtime does the
same as "subuidless runtime".

The commands are those of crun and runc: create, start, run, exec, state, kill,
delete, ps, list, pause, resume, update, features and others, as far as the
installed runtime has them. The engine's config.json is not changed. Where
subuidless supervises the engine itself, its supervisor handles the containers.

Global options of subuidless:
      --runtime NAME|PATH    crun or runc (default $SUBUIDLESS_RUNTIME, or the
                             first of them in PATH)
      --permissions on|off   enforce file permissions for non-root users
      --sidecar DIR          store in DIR the owners of files that cannot carry
                             extended attributes
      --trace FILE           append a line to FILE for each emulated system call

Global options of the runtime:
      --root DIR             state of containers; subuidless adds DIR.subuidless
                             (default $XDG_RUNTIME_DIR/subuidless-runtime)
      --log FILE             append errors to FILE
      --log-format FORMAT    text or json
      --systemd-cgroup       let systemd create cgroups
      --cgroup-manager MANAGER, --criu PATH, --debug, --rootless VALUE, --version`,
		Example: `  podman --runtime /usr/local/bin/subuidless-runtime run --rm alpine chown 33 /tmp`,
		// The options differ between runtimes, and engines do not write them as cobra
		// expects.
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			os.Exit(ociruntime.Main(args, cli.BuildVersion(), cmd.Help))
			return nil
		},
	}
}
