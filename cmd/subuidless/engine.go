package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/engine"
	"github.com/rootless-containers/subuidless/internal/launch"
	"github.com/rootless-containers/subuidless/internal/session"
)

func newPodmanCommand() *cobra.Command {
	return newEngineCommand("podman", `Run podman under supervision: images and containers can have files and processes
of every user id.`, `  subuidless podman run -d --name web -p 127.0.0.1:8080:80 docker.io/library/nginx
  subuidless podman exec -u www-data web id
  subuidless podman build -t app .`)
}

func newBuildahCommand() *cobra.Command {
	return newEngineCommand("buildah", `Run buildah under supervision: images can have files of every user id.`,
		`  subuidless buildah bud -t app .
  subuidless buildah push app docker://registry.example.org/app`)
}

func newDockerCommand() *cobra.Command {
	cmd := newEngineCommand("docker", `Run docker under supervision: images and containers can have files and processes
of every user id.`, `  subuidless docker run -d --name web -p 127.0.0.1:8080:80 nginx
  subuidless docker exec -u www-data web id`)
	cmd.Long += `

Docker's command line needs a server: that of DOCKER_HOST, DOCKER_CONTEXT, --host or
--context, else dockerd, if "subuidless dockerd" runs it, else that of podman (podman
system service), which subuidless starts in the session, so that images and
containers are those of "subuidless podman". If there is no docker command, podman
understands the same arguments.`
	cmd.RunE = runEngine("docker", engine.Docker)
	return cmd
}

func newDockerdCommand() *cobra.Command {
	cmd := newEngineCommand("dockerd", `Run docker's server under supervision, until it ends: images and containers can
have files and processes of every user id.`, `  subuidless dockerd &
  subuidless docker run -d --name web -p 127.0.0.1:8080:80 nginx`)
	cmd.Long += `

The server runs as dockerd-rootless.sh runs it, with rootlesskit and slirp4netns, and
listens on $XDG_RUNTIME_DIR/docker.sock. The variables DOCKERD_ROOTLESS_ROOTLESSKIT_*
have the same meaning.`
	cmd.RunE = runEngine("dockerd", engine.Dockerd)
	return cmd
}

// newEngineCommand returns the command that runs an engine in a session. What it does comes
// first in its help.
func newEngineCommand(name, what, example string) *cobra.Command {
	cmd := &cobra.Command{
		Use:     name + " [--session NAME] [ARG...]",
		GroupID: cli.GroupEngine,
		Short:   fmt.Sprintf("Run %s with every user id", name),
		Long: fmt.Sprintf(`%s

All arguments are those of %[2]s, except for --session as the first one. Commands
with the same session (default: "default") work with each other's containers,
like those of a plain %[2]s: see subuidless session --help. Storage and
configuration are those of your own %[2]s.

"subuidless %[2]s --help" shows the help of %[2]s.`, what, name),
		Example:               example,
		DisableFlagParsing:    true,
		DisableFlagsInUseLine: true,
		RunE: runEngine(name, func(o session.Options) (int, error) {
			o.Args = append([]string{name}, o.Args...)
			return engine.Exec(o)
		}),
	}
	// --help is the engine's.
	cmd.Flags().BoolP("help", "h", false, "")
	cmd.Flag("help").Hidden = true
	return cmd
}

// runEngine returns the RunE of a command that runs an engine. Run gets the arguments of the
// engine, without its name.
func runEngine(name string, run func(session.Options) (int, error)) func(*cobra.Command, []string) error {
	return func(_ *cobra.Command, args []string) error {
		o := session.Options{Linger: session.DefaultLinger}
		var err error
		if o.Name, o.Args, err = cutSession(args); err != nil {
			cli.Exit(launch.StatusFailed, fmt.Errorf("%s: %w; see subuidless help %s", name, err, name))
		}
		cli.Exit(run(o))
		return nil
	}
}

// cutSession returns the session that the first of args, the arguments of an engine, names,
// or else the default, and the rest.
func cutSession(args []string) (name string, rest []string, err error) {
	const flag = "--session"
	switch {
	case len(args) == 0:
	case strings.HasPrefix(args[0], flag+"="):
		return strings.TrimPrefix(args[0], flag+"="), args[1:], nil
	case args[0] == flag && len(args) == 1:
		return "", nil, fmt.Errorf("%s needs a name", flag)
	case args[0] == flag:
		return args[1], args[2:], nil
	}
	return session.DefaultName, args, nil
}
