package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/engine"
	"github.com/rootless-containers/subuidless/internal/launch"
	"github.com/rootless-containers/subuidless/internal/session"
)

func newPodmanCommand() *cobra.Command {
	return newEngineCommand(engineCommand{
		name: "podman",
		what: `Run podman under supervision: images and containers can have files and processes
of every user id.`,
		example: `  subuidless podman run -d --name web -p 127.0.0.1:8080:80 docker.io/library/nginx
  subuidless podman exec -u www-data web id
  subuidless podman build -t app .`,
		run: runEngine("podman"),
	})
}

func newBuildahCommand() *cobra.Command {
	return newEngineCommand(engineCommand{
		name: "buildah",
		what: `Run buildah under supervision: images can have files of every user id.`,
		example: `  subuidless buildah bud -t app .
  subuidless buildah push app docker://registry.example.org/app`,
		run: runEngine("buildah"),
	})
}

func newDockerCommand() *cobra.Command {
	return newEngineCommand(engineCommand{
		name: "docker",
		what: `Run docker under supervision: images and containers can have files and processes
of every user id.`,
		more: `

Docker's command line needs a server: that of DOCKER_HOST, DOCKER_CONTEXT, --host or
--context, else dockerd, if "subuidless dockerd" runs it, else that of podman (podman
system service), which subuidless starts in the session, so that images and
containers are those of "subuidless podman". If there is no docker command, podman
understands the same arguments.`,
		example: `  subuidless docker run -d --name web -p 127.0.0.1:8080:80 nginx
  subuidless docker exec -u www-data web id`,
		run: engine.Docker,
	})
}

func newDockerdCommand() *cobra.Command {
	return newEngineCommand(engineCommand{
		name: "dockerd",
		what: `Run docker's server under supervision, until it ends: images and containers can
have files and processes of every user id.`,
		more: `

The server runs as dockerd-rootless.sh runs it, with rootlesskit and slirp4netns, and
listens on $XDG_RUNTIME_DIR/docker.sock. The variables DOCKERD_ROOTLESS_ROOTLESSKIT_*
have the same meaning.`,
		example: `  subuidless dockerd &
  subuidless docker run -d --name web -p 127.0.0.1:8080:80 nginx`,
		run: engine.Dockerd,
	})
}

// engineCommand describes a command that runs an engine in a session.
type engineCommand struct {
	name       string // of the engine
	what, more string // the beginning and the end of its help
	example    string
	// run runs the engine with the arguments o.Args, which do not include its name.
	run func(o session.Options) (status int, err error)
}

// runEngine returns engineCommand.run for an engine that needs nothing else than a session.
func runEngine(name string) func(session.Options) (int, error) {
	return func(o session.Options) (int, error) {
		o.Args = append([]string{name}, o.Args...)
		return engine.Exec(o)
	}
}

func newEngineCommand(c engineCommand) *cobra.Command {
	o := session.Options{Linger: session.DefaultLinger}
	var set func() error
	cmd := &cobra.Command{
		Use:     c.name + " [--session NAME] [--accelerate on|off|auto] [ARG...]",
		GroupID: cli.GroupEngine,
		Short:   fmt.Sprintf("Run %s with every user id", c.name),
		Long: fmt.Sprintf(`%s

All arguments are those of %[2]s, except for --session and --accelerate as the first
ones. Commands with the same session (default: "default") work with each other's
containers, like those of a plain %[2]s: see subuidless session --help. Storage and
configuration are those of your own %[2]s.

"subuidless %[2]s --help" shows the help of %[2]s.%s`, c.what, c.name, c.more),
		Example:               c.example,
		DisableFlagParsing:    true,
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			rest, err := cutFlags(cmd.Flags(), args)
			if err == nil {
				err = set()
			}
			if err != nil {
				cli.Exit(launch.StatusFailed, fmt.Errorf("%s: %w; see subuidless help %[1]s", c.name, err))
			}
			o.Args = rest
			cli.Exit(c.run(o))
			return nil
		},
	}
	set = addSessionFlags(cmd, &o)
	// --help is the engine's.
	cmd.Flags().BoolP(helpFlag, "h", false, "")
	cmd.Flag(helpFlag).Hidden = true
	return cmd
}

const helpFlag = "help"

// cutFlags sets those of flags that stand at the beginning of args, the arguments of an engine, and
// returns the rest.
func cutFlags(flags *pflag.FlagSet, args []string) (rest []string, err error) {
	for len(args) > 0 {
		long, isLong := strings.CutPrefix(args[0], "--")
		name, value, hasValue := strings.Cut(long, "=")
		if !isLong || name == helpFlag || flags.Lookup(name) == nil {
			break
		}
		args = args[1:]
		if !hasValue {
			if len(args) == 0 {
				return nil, fmt.Errorf("--%s needs a value", name)
			}
			value, args = args[0], args[1:]
		}
		if err := flags.Set(name, value); err != nil {
			return nil, err
		}
	}
	return args, nil
}
