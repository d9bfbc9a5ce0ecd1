// Command subuidless runs rootless containers with every user id, without /etc/subuid.
//
// This package holds the command line only: each file defines one subcommand, its flags
// and its help text, and calls the package in internal/ that does the work.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/agent"
	"github.com/rootless-containers/subuidless/internal/doctor"
	"github.com/rootless-containers/subuidless/internal/engine"
	"github.com/rootless-containers/subuidless/internal/image/prepared"
	"github.com/rootless-containers/subuidless/internal/image/running"
	"github.com/rootless-containers/subuidless/internal/launch"
	"github.com/rootless-containers/subuidless/internal/ociruntime"
	"github.com/rootless-containers/subuidless/internal/program"
	"github.com/rootless-containers/subuidless/internal/session"
	"github.com/rootless-containers/subuidless/internal/sidecar"
	"github.com/rootless-containers/subuidless/internal/supervisor"
)

func main() {
	// subuidless also executes itself as its helper processes; argv[0] says as which.
	if helper, ok := helpers[os.Args[0]]; ok {
		os.Exit(helper())
	}
	// Or the image program has executed it.
	if description := program.Inherited(); description != nil {
		cli.Exit(prepared.Run(description))
	}
	args := expandShortForm(os.Args[1:])
	if command, ok := linkNames[filepath.Base(os.Args[0])]; ok {
		args = append([]string{command}, os.Args[1:]...)
	}
	first := ""
	if len(args) > 0 {
		first = args[0]
	}
	root := newRootCommand(first)
	root.SetArgs(args)
	if err := root.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "subuidless:", err)
		os.Exit(1)
	}
}

// linkNames are names of links to this program that mean one of its commands, for programs that
// call another one by a single name.
var linkNames = map[string]string{
	"fakeroot":            "fakeroot",
	"fakeroot-subuidless": "fakeroot", // for update-alternatives(1)
	"proot":               "proot",
	"proot-subuidless":    "proot",
	"subuidless-runtime":  "runtime",
}

// helpers are the main functions of the helper processes, by argv[0].
var helpers = map[string]func() int{
	supervisor.KeeperName:     supervisor.KeeperMain,
	supervisor.WorkerName:     supervisor.WorkerMain,
	supervisor.StandbyName:    supervisor.StandbyMain,
	supervisor.UndertakerName: session.UndertakerMain,
	agent.DeputyName:          agent.DeputyMain,
	launch.StageName:          launch.StageMain,
	launch.InitName:           launch.InitMain,
	launch.TopName:            launch.TopMain,
	running.MonitorName:       running.MonitorMain,
	sidecar.HelperName:        sidecar.HelperMain,
	engine.ProbeName:          engine.ProbeMain,
	doctor.ProcName:           doctor.ProcMain,
	ociruntime.StarterName:    ociruntime.StarterMain,
}

// command is a command of this program: its name, and the function that makes it.
type command struct {
	name string
	make func() *cobra.Command
}

var commands = []command{
	{"agent", newAgentCommand},
	{"buildah", newBuildahCommand},
	{"docker", newDockerCommand},
	{"dockerd", newDockerdCommand},
	{"doctor", newDoctorCommand},
	{"exec", newExecCommand},
	{"fakeroot", newFakerootCommand},
	{"podman", newPodmanCommand},
	{"profile", newProfileCommand},
	{"proot", newProotCommand},
	{"run", newRunCommand},
	{"runtime", newRuntimeCommand},
	{"session", newSessionCommand},
	{"sidecar", newSidecarCommand},
	{"spec", newSpecCommand},
}

// newRootCommand returns the command line for arguments that begin with first: with the command of that
// name only, because making all takes longer than parsing the arguments, or with all if it is none of
// them, such as help.
func newRootCommand(first string) *cobra.Command {
	root := &cobra.Command{
		Use:   "subuidless",
		Short: "Run rootless containers with every user id, without /etc/subuid",
		Long: `Run rootless containers with every user id, without /etc/subuid.

subuidless intercepts system calls such as chown(2) and setuid(2) with seccomp
user notification and answers them itself. File ownership is stored with the
files, so it persists between runs.`,
		Example: `  subuidless exec -- tar -xpf rootfs.tar -C ./rootfs   # keeps the owners
  subuidless run alpine                                # a container of an image
  subuidless run ./rootfs -- sh                        # one of a root file system
  subuidless podman run -it docker.io/library/debian   # podman, without subuids
  subuidless agent ~/.subuidless.sock                  # for crun, runc, podman`,
		Version:       cli.BuildVersion(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	// Defined here, because cobra's own flag would also claim -v.
	root.Flags().Bool("version", false, "print the version and exit")
	root.AddGroup(cli.Groups...)
	root.SetHelpCommandGroupID(cli.GroupOther)
	root.SetCompletionCommandGroupID(cli.GroupOther)
	one := slices.ContainsFunc(commands, func(c command) bool { return c.name == first })
	for _, c := range commands {
		if !one || c.name == first {
			root.AddCommand(c.make())
		}
	}
	if !one {
		for _, c := range cli.ImageCommands {
			root.AddCommand(newImageCommand(c))
		}
	}
	return root
}
