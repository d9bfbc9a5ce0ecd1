// Subuidless gives rootless containers every user id, without /etc/subuid.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/internal/launch"
	"github.com/rootless-containers/subuidless/internal/supervisor"
)

func main() {
	// The supervisor's processes are this same program, told apart by argv[0].
	if stage, ok := stages[os.Args[0]]; ok {
		os.Exit(stage())
	}
	root := newRootCommand()
	root.SetArgs(withAgent(os.Args[1:]))
	if err := root.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "subuidless:", err)
		os.Exit(1)
	}
}

// stages are the programs that subuidless starts itself as.
var stages = map[string]func() int{
	supervisor.KeeperName: supervisor.KeeperMain,
	supervisor.WorkerName: supervisor.WorkerMain,
	launch.StageName:      launch.StageMain,
	launch.InitName:       launch.InitMain,
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "subuidless",
		Short:         "Rootless containers with every user id, and no /etc/subuid",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(
		newAgentCommand(),
		newDoctorCommand(),
		newExecCommand(),
		newRunCommand(),
		newSpecCommand(),
	)
	return root
}
