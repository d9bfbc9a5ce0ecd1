package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/internal/launch"
)

func newRunCommand() *cobra.Command {
	var o launch.RunOptions
	cmd := &cobra.Command{
		Use:   "run [flags] ROOTFS [--] [COMMAND [ARG...]]",
		Short: "Run a command in a container, without an OCI runtime",
		Long: `Run a command in a container whose root file system is the directory ROOTFS:
with its own user, mount, PID, IPC, UTS and cgroup namespaces, and under
supervision. Without a command, /bin/sh runs. With a terminal on standard input
and output, the command gets a terminal of its own.

The exit status is that of the command; 128+N if signal N killed it; 127 if it
is not found, 126 if it cannot be executed, 125 if subuidless itself failed.`,
		Example: `  umoci unpack --rootless --image alpine:latest bundle
  subuidless run bundle/rootfs
  subuidless run --volume "$PWD:/src" --workdir /src bundle/rootfs -- make install`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				exit(launch.StatusFailed, errors.New("run: no ROOTFS directory given; see subuidless run --help"))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			o.Rootfs, o.Args = args[0], args[1:]
			if len(o.Args) > 0 && o.Args[0] == "--" {
				o.Args = o.Args[1:]
			}
			if err := makeAbsolute(&o.Supervisor.Trace, &o.Supervisor.Sidecar); err != nil {
				return err
			}
			exit(launch.Run(o))
			return nil
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return nil, cobra.ShellCompDirectiveFilterDirs
			}
			return nil, cobra.ShellCompDirectiveDefault
		},
	}
	flags := cmd.Flags()
	flags.SetInterspersed(false) // what follows ROOTFS is the command's own
	flags.StringVarP(&o.User, "user", "u", "", "run as `NAME|UID[:GROUP]` of the rootfs (default root)")
	flags.StringArrayVarP(&o.Env, "env", "e", nil, "set the variable `K=V`, or pass your K on; may be repeated")
	flags.StringVarP(&o.Workdir, "workdir", "w", "/", "working `directory` in the container")
	flags.StringArrayVarP(&o.Volumes, "volume", "v", nil, "show the host's file or directory as `SRC:DST[:ro]`; may be repeated")
	flags.StringVar(&o.Net, "net", launch.NetHost, "network: `host` or none")
	flags.StringVar(&o.Hostname, "hostname", "", "host `name` in the container (default the host's)")
	flags.BoolVar(&o.ReadOnly, "read-only", false, "mount the rootfs read-only")
	supervisorFlags(cmd, &o.Supervisor)
	cmd.SetFlagErrorFunc(wrongFlag)
	registerNetCompletion(cmd)
	return cmd
}

func registerNetCompletion(cmd *cobra.Command) {
	values := cobra.FixedCompletions([]string{launch.NetHost, launch.NetNone}, cobra.ShellCompDirectiveNoFileComp)
	if err := cmd.RegisterFlagCompletionFunc("net", values); err != nil {
		panic(err) // there is no such flag: a mistake in this file
	}
}
