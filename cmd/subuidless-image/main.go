// Command subuidless-image is the part of subuidless that works with images: see package
// program. cmd/build appends it to the main program, which executes it.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/image/build/files"
	"github.com/rootless-containers/subuidless/internal/image/containerfiles"
	"github.com/rootless-containers/subuidless/internal/image/unpack"
	"github.com/rootless-containers/subuidless/internal/program"
)

// mainProgram is the main program, which runs containers.
var mainProgram program.Main

func main() {
	// It also executes itself as its helper processes; argv[0] says as which.
	switch os.Args[0] {
	case unpack.Name:
		os.Exit(unpack.Main())
	case files.Name:
		os.Exit(files.Main())
	case containerfiles.Name:
		os.Exit(containerfiles.Main())
	}
	var err error
	if mainProgram, err = program.Caller(); err == nil {
		err = newRootCommand().Execute()
	}
	if err != nil {
		cli.Exit(exitStatus(err, 1), err)
	}
}

// commands are the commands in cli.ImageCommands.
var commands map[string]func() *cobra.Command

func init() { // they refer to each other
	commands = map[string]func() *cobra.Command{
		"attach":    newAttachCommand,
		"build":     newBuildCommand,
		"commit":    newCommitCommand,
		"container": newContainerCommand,
		"cp":        newCpCommand,
		"create":    newCreateCommand,
		"diff":      newDiffCommand,
		"export":    newExportCommand,
		"history":   newHistoryCommand,
		"image":     newImageCommand,
		"images":    newImagesCommand,
		"info":      newInfoCommand,
		"inspect":   newInspectCommand,
		"kill":      newKillCommand,
		"load":      newLoadCommand,
		"login":     newLoginCommand,
		"logout":    newLogoutCommand,
		"logs":      newLogsCommand,
		"pause":     newPauseCommand,
		"prune":     newPruneCommand,
		"ps":        newPsCommand,
		"pull":      newPullCommand,
		"push":      newPushCommand,
		"rename":    newRenameCommand,
		"restart":   newRestartCommand,
		"rm":        newRmCommand,
		"rmi":       newRmiCommand,
		"save":      newSaveCommand,
		"start":     newStartCommand,
		"stop":      newStopCommand,
		"store":     newStoreCommand,
		"system":    newSystemCommand,
		"tag":       newTagCommand,
		"top":       newTopCommand,
		"unpause":   newUnpauseCommand,
		"version":   newVersionCommand,
		"volume":    newVolumeCommand,
		"wait":      newWaitCommand,
	}
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{Use: "subuidless", SilenceErrors: true, SilenceUsage: true}
	root.AddGroup(cli.Groups...)
	for _, c := range cli.ImageCommands {
		cmd := commands[c.Name]()
		cmd.GroupID, cmd.Short = c.Group, c.Short
		root.AddCommand(cmd)
	}
	root.AddCommand(newRunCommand())
	explainArguments(root)
	return root
}

// explainArguments adds to errors about the number of arguments which ones a command has.
func explainArguments(cmd *cobra.Command) {
	if check := cmd.Args; check != nil && cmd.HasParent() {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			err := check(cmd, args)
			if err != nil {
				err = fmt.Errorf("%w; usage: %s", err, cmd.UseLine())
			}
			return err
		}
	}
	for _, sub := range cmd.Commands() {
		explainArguments(sub)
	}
}
