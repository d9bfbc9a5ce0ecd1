package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

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

// newEngineCommand returns the command that runs an engine in a session. What it does comes
// first in its help.
func newEngineCommand(name, what, example string) *cobra.Command {
	return &cobra.Command{
		Use:     name + " [--session NAME] [ARG...]",
		GroupID: groupEngine,
		Short:   fmt.Sprintf("Run %s with every user id", name),
		Long: fmt.Sprintf(`%s

All arguments are those of %[2]s, except for --session as the first one. Commands
with the same session (default: "default") work with each other's containers,
like those of a plain %[2]s: see subuidless session --help. Storage and
configuration are those of your own %[2]s.

"subuidless %[2]s --help" shows the help of %[2]s.`, what, name),
		Example:            example,
		DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error {
			o := session.Options{Name: session.DefaultName, Linger: session.DefaultLinger}
			var err error
			if o.Name, args, err = cutSession(o.Name, args); err != nil {
				exit(launch.StatusFailed, fmt.Errorf("%s: %w; see subuidless help %s", name, err, name))
			}
			o.Args = append([]string{name}, args...)
			exit(engine.Exec(o))
			return nil
		},
	}
}

// cutSession returns the session that the first of args, the arguments of an engine, names,
// or else the one given, and the rest.
func cutSession(name string, args []string) (string, []string, error) {
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
	return name, args, nil
}
