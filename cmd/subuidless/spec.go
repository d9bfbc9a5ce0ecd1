package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/bundle"
	"github.com/rootless-containers/subuidless/internal/syscalls"
)

func newSpecCommand() *cobra.Command {
	var dir string
	var noPermissions bool
	opts := bundle.Options{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}
	cmd := &cobra.Command{
		Use:     "spec",
		GroupID: cli.GroupRuntime,
		Short:   "Create or adapt an OCI bundle's config.json",
		Long: `Create config.json of an OCI bundle, or adapt an existing one: map a single user
id, and add the seccomp rules that send emulated system calls to the agent.
Everything else in an existing file is preserved.`,
		Example: `  subuidless spec --bundle ./test
  subuidless spec --bundle ./test --socket ~/.subuidless.sock`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := cli.MakeAbsolute(&opts.Socket); err != nil {
				return err
			}
			rows := syscalls.Rows()
			if noPermissions {
				rows = syscalls.WithoutPermissions(rows)
			}
			return bundle.Write(dir, opts, rows)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&dir, "bundle", "b", ".", "`directory` of the bundle")
	flags.StringVar(&opts.Socket, "socket", "", "`path` of the agent's socket, for linux.seccomp.listenerPath (required by runc)")
	cli.AddPermissionsFlag(cmd, &noPermissions, "enforce file permissions for non-root users (off is faster);\npass the same value to the agent")
	flags.BoolVar(&opts.NoUserNamespace, "no-userns", false, "do not create a user namespace; the runtime already runs in one (unshare -r)")
	flags.BoolVar(&opts.WaitKillable, "wait-killable", false, "prevent signals from interrupting system calls that are waiting for the agent\n(crun 1.6, runc 1.5 and later)")
	return cmd
}
