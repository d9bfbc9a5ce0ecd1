package main

import (
	"errors"
	"fmt"
	"os/exec"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/image/running"
	"github.com/rootless-containers/subuidless/internal/image/storedir"
	"github.com/rootless-containers/subuidless/internal/launch"
)

func newExecCommand() *cobra.Command {
	var o launch.ExecOptions
	var in running.ExecOptions
	var where cli.StoreFlags
	var envFiles []string
	var accelerate func() error
	cmd := &cobra.Command{
		Use:     "exec [flags] [--] COMMAND [ARG...]\n  subuidless exec [flags] CONTAINER COMMAND [ARG...]",
		GroupID: cli.GroupRun,
		Short:   "Run a command as root with every user id, on the host's own files or in a container",
		Long: `Run a command as root of a new user namespace, on the host's own files.
Ownership changes are stored with the files and persist between runs. Inside a
tree of processes that subuidless already supervises, exec just runs the command.

If the first argument is a container of subuidless run (its name, its id, or 12 or
more digits of the id), the command runs in that container, which must be running.
The flags described as "in a container" always need one. What follows -- is always
a command for the host.

The exit status is that of the command; 128+N if signal N killed it; 127 if the
command was not found, 126 if it cannot be executed, and 125 if subuidless itself
failed.`,
		Example: `  subuidless exec -- sh -c 'touch foo && chown 42:42 foo && ls -ln foo'
  subuidless exec -it web sh`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				cli.Exit(launch.StatusFailed, errors.New("exec: no COMMAND given; see subuidless exec --help"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			flag := changedFlag(cmd, execFlags)
			onHost := cmd.ArgsLenAtDash() == 0
			if flag != "" && onHost {
				cli.Exit(launch.StatusFailed, fmt.Errorf("exec: --%s needs a container, but after -- there is a command for the host", flag))
			}
			if flag != "" || !onHost && storedir.IsContainer(where.Dir(), args[0]) {
				if len(args) == 1 {
					cli.Exit(launch.StatusFailed, errors.New("exec: no COMMAND given; see subuidless exec --help"))
				}
				in.Args = args[1:]
				env, err := cli.ReadFiles("--env-file", envFiles)
				if err != nil {
					cli.Exit(launch.StatusFailed, fmt.Errorf("exec: %w", err))
				}
				in.Env = append(env, in.Env...)
				cli.Exit(execInContainer(where.Dir(), args[0], in))
			}
			if !onHost && len(args) > 1 && !isCommand(args[0]) {
				cli.Exit(launch.StatusNotFound, fmt.Errorf("exec: %s is neither a container (subuidless ps lists them) nor a command", args[0]))
			}
			o.Args = args
			if err := cli.MakeAbsolute(&o.Supervisor.Trace, &o.Supervisor.Sidecar); err != nil {
				return err
			}
			if err := accelerate(); err != nil {
				cli.Exit(launch.StatusFailed, err)
			}
			cli.Exit(launch.Exec(o))
			return nil
		},
	}
	flags := cmd.Flags()
	flags.BoolVarP(&in.Detach, "detach", "d", false, "in a container: do not wait for the end of the command")
	flags.StringArrayVarP(&in.Env, "env", "e", nil, "in a container: set a variable with `K=V`, or pass K through from the\nenvironment; may be repeated")
	flags.StringArrayVar(&envFiles, "env-file", nil, "in a container: set variables from the lines of a `file`; may be repeated")
	flags.BoolVarP(&in.Interactive, "interactive", "i", false, "in a container: connect standard input")
	flags.BoolVarP(&in.Terminal, "tty", "t", false, "in a container: run the command in a new terminal")
	flags.StringVarP(&in.User, "user", "u", "", "in a container: run as `NAME|UID[:GROUP|:GID]` (default that of the container)")
	flags.StringVarP(&in.Workdir, "workdir", "w", "", "in a container: working `directory` (default that of the container)")
	cli.AddSupervisorFlags(cmd, &o.Supervisor)
	cli.AddSummaryFlag(cmd, &o.Summary)
	accelerate = cli.AddAccelerateFlags(cmd, &o.Supervisor)
	where.Add(cmd)
	flags.SetInterspersed(false) // flags after COMMAND are the command's own
	cmd.SetFlagErrorFunc(cli.ExitFlagError)
	return cmd
}

// execFlags are the names of the flags that need a container.
var execFlags = []string{"detach", "env", "env-file", "interactive", "tty", "user", "workdir", "root"}

// changedFlag returns the first of the flags that the user has set, or "".
func changedFlag(cmd *cobra.Command, names []string) string {
	for _, name := range names {
		if cmd.Flags().Changed(name) {
			return name
		}
	}
	return ""
}

// isCommand reports whether there is a program of this name.
func isCommand(name string) bool {
	_, err := exec.LookPath(name)
	return err == nil || !errors.Is(err, exec.ErrNotFound)
}

// execInContainer runs a command in the container that text names.
func execInContainer(dir, text string, o running.ExecOptions) (status int, err error) {
	c, err := storedir.FindContainer(dir, text)
	if err != nil {
		return launch.StatusFailed, err
	}
	return running.Exec(c, o)
}
