package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/engine"
	"github.com/rootless-containers/subuidless/internal/launch"
	"github.com/rootless-containers/subuidless/internal/session"
)

func newSessionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "session",
		GroupID: cli.GroupEngine,
		Short:   "List and stop the sessions of container engines, or run a command in one",
		Long: `Commands of container engines under subuidless share a session: one user
namespace, one mount namespace and one supervisor. So "subuidless podman exec"
reaches the containers that "subuidless podman run" has started.

The first command starts the session. It ends by itself when no command has run
and no container has been left in it for 5 minutes.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSessionExecCommand(), newSessionListCommand(), newSessionStopCommand())
	return cmd
}

func newSessionExecCommand() *cobra.Command {
	o := session.Options{Linger: session.DefaultLinger}
	var set func() error
	cmd := &cobra.Command{
		Use:   "exec [flags] [--] COMMAND [ARG...]",
		Short: "Run a command in a session",
		Long: `Run a command in a session, and start the session if it does not exist. Container
engines and tools that call them (podman, buildah, skopeo, podman-compose,
scripts) then work there without subordinate ids: "subuidless podman ARG..." is
short for "subuidless session exec -- podman ARG...".

--trace, --permissions, --sidecar, --accelerate and --linger concern the session's
supervisor: they have an effect only on the command that starts the session.
--trace-summary counts the calls of all commands of the session meanwhile. The exit
status is the same as that of subuidless exec.`,
		Example: `  subuidless session exec -- sh -c 'podman build -t app . && podman push app registry.example.org/app'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				cli.Exit(launch.StatusFailed, errors.New("session exec: no COMMAND given; see subuidless session exec --help"))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if err := cli.MakeAbsolute(&o.Supervisor.Trace, &o.Supervisor.Sidecar); err != nil {
				return err
			}
			if err := set(); err != nil {
				cli.Exit(launch.StatusFailed, err)
			}
			o.Args = args
			cli.Exit(engine.Exec(o))
			return nil
		},
	}
	flags := cmd.Flags()
	flags.SetInterspersed(false) // flags after COMMAND are the command's own
	set = addSessionFlags(cmd, &o)
	flags.DurationVar(&o.Linger, "linger", o.Linger, "`time` that the session stays after the last process in it has ended")
	cli.AddSupervisorFlags(cmd, &o.Supervisor)
	cli.AddSummaryFlag(cmd, &o.Summary)
	cmd.SetFlagErrorFunc(cli.ExitFlagError)
	return cmd
}

// addSessionFlags adds the flags of all commands that run something in a session. Set sets o when
// they have been parsed: see cli.AddAccelerateFlags.
func addSessionFlags(cmd *cobra.Command, o *session.Options) (set func() error) {
	flags := cmd.Flags()
	flags.StringVar(&o.Name, "session", session.DefaultName, "`name` of the session")
	err := cmd.RegisterFlagCompletionFunc("session", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return sessionNames()
	})
	if err != nil {
		panic(err) // a mistake in this function: there is no such flag
	}
	accelerate := cli.AddAccelerateFlags(cmd, &o.Supervisor)
	return func() error {
		err := accelerate()
		if flag := flags.Lookup("accelerate"); flag.Changed {
			o.Accelerate = flag.Value.String()
		}
		return err
	}
}

func newSessionListCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List your sessions",
		Long: `List your sessions: name, process id of the supervisor, start time, numbers of
running containers and processes, and whether the session is idle and will end.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			infos, err := session.List()
			if err != nil {
				return err
			}
			return session.Print(os.Stdout, infos)
		},
	}
}

func newSessionStopCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "stop [--force] [NAME]",
		Short: "End a session and all its processes",
		Long: `End the session NAME ("default" if omitted) with all its processes. Images,
containers and volumes stay on disk. If containers are running, this fails, unless
--force is given: they then get SIGTERM, and SIGKILL after ten seconds.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			name := session.DefaultName
			if len(args) > 0 {
				name = args[0]
			}
			return session.Stop(name, force)
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return sessionNames()
		},
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "also end running containers")
	return cmd
}

// sessionNames are the names that a shell can complete.
func sessionNames() ([]string, cobra.ShellCompDirective) {
	infos, err := session.List()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, i := range infos {
		names = append(names, i.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
