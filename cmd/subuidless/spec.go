package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/internal/bundle"
	"github.com/rootless-containers/subuidless/internal/syscalls"
)

func newSpecCommand() *cobra.Command {
	var dir string
	var noPermissions bool
	opts := bundle.Options{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}
	cmd := &cobra.Command{
		Use:   "spec",
		Short: "Write config.json of an OCI bundle, or make the one that is there work with subuidless",
		Long: `Write config.json of an OCI bundle, or make the one that is there work with
subuidless: with one mapped user id, and with the seccomp rules that send the
emulated system calls to the agent. Everything else that it says stays.`,
		Example: `  subuidless spec --bundle ./test
  subuidless spec --bundle ./test --socket ~/.subuidless.sock`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := makeAbsolute(&opts.Socket); err != nil {
				return err
			}
			rows := syscalls.Rows
			if noPermissions {
				rows = syscalls.WithoutPermissions(rows)
			}
			return bundle.Write(dir, opts, rows)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&dir, "bundle", "b", ".", "directory of the bundle")
	flags.StringVar(&opts.Socket, "socket", "", "socket of the agent, for linux.seccomp.listenerPath (runc needs it)")
	flags.Var((*permissions)(&noPermissions), "permissions", "whether permissions of files are to hold for other users than root: on, or off, which is faster\n(also a flag of the agent)")
	flags.BoolVar(&opts.NoUserNamespace, "no-userns", false, "no user namespace of the container's own: the runtime is started in one (unshare -r)")
	flags.BoolVar(&opts.WaitKillable, "wait-killable", false, "let calls that wait for the agent not be interrupted by signals (crun 1.6, runc 1.5 and later)")
	return cmd
}
