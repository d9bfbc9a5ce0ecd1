package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/internal/launch"
)

func newRunCommand() *cobra.Command {
	var o launch.RunOptions
	cmd := &cobra.Command{
		Use:     "run [flags] ROOTFS [--] [COMMAND [ARG...]]",
		GroupID: groupRun,
		Short:   "Run a command in a container, without an OCI runtime",
		Long: `Run a command in a supervised container whose root file system is the directory
ROOTFS, in user, mount, PID, IPC, UTS and cgroup namespaces of its own. The
default command is /bin/sh. If standard input and output are a terminal, the
command runs in a new terminal.

The container has its own copies of the host's /etc/hosts and /etc/resolv.conf.
They can be changed, unless the rootfs is read-only, and end with the container.

The exit status is that of the command; 128+N if signal N killed it; 127 if the
command was not found, 126 if it cannot be executed, and 125 if subuidless itself
failed.`,
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
	flags.SetInterspersed(false) // flags after ROOTFS are the command's own
	flags.StringVarP(&o.User, "user", "u", "", "run as `NAME|UID[:GROUP|:GID]`, looked up in the rootfs (default root)")
	flags.StringArrayVarP(&o.Env, "env", "e", nil, "set a variable with `K=V`, or pass K through from the environment; may be repeated")
	flags.StringVarP(&o.Workdir, "workdir", "w", "/", "working `directory` in the container")
	flags.StringArrayVarP(&o.Volumes, "volume", "v", nil, "bind-mount a host file or directory, `SRC:DST[:ro]`; may be repeated")
	flags.StringVar(&o.Net, "net", launch.NetHost, "`network`: host, or none for a loopback interface only")
	flags.StringVar(&o.Hostname, "hostname", "", "`hostname` of the container (default that of the host)")
	flags.BoolVar(&o.ReadOnly, "read-only", false, "mount the rootfs read-only")
	addSupervisorFlags(cmd, &o.Supervisor)
	cmd.SetFlagErrorFunc(exitFlagError)
	registerNetCompletion(cmd)
	return cmd
}

func registerNetCompletion(cmd *cobra.Command) {
	values := cobra.FixedCompletions([]string{launch.NetHost, launch.NetNone}, cobra.ShellCompDirectiveNoFileComp)
	if err := cmd.RegisterFlagCompletionFunc("net", values); err != nil {
		panic(err) // a mistake in this file: there is no such flag
	}
}
