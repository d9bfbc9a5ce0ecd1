package main

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/image/store"
)

// The further names that docker and podman have for commands, and what they mean here, or empty if they
// have no other name.
var (
	imageNamesOf = map[string]string{
		"build": "build", "exists": "", "history": "history", "inspect": "inspect", "list": "images", "load": "load", "ls": "images", "prune": "",
		"pull": "pull", "push": "push", "rm": "rmi", "save": "save", "tag": "tag",
	}
	containerNamesOf = map[string]string{
		"attach": "attach", "commit": "commit", "cp": "cp", "create": "create", "diff": "diff", "exec": "", "exists": "", "export": "export", "inspect": "inspect",
		"kill": "kill", "list": "ps", "logs": "logs", "ls": "ps", "pause": "pause", "prune": "", "ps": "ps", "rename": "rename", "restart": "restart",
		"rm": "rm", "run": "", "start": "start", "stop": "stop", "top": "top", "unpause": "unpause", "wait": "wait",
	}
	systemNamesOf = map[string]string{"info": "info", "prune": "prune"}
)

// newManagementCommand returns the command whose subcommands have the names. Own are those that have no
// other name. They are not listed one by one: their help is that of the other names.
func newManagementCommand(name string, names map[string]string, own ...*cobra.Command) *cobra.Command {
	var text []string
	for _, n := range slices.Sorted(maps.Keys(names)) {
		if other := names[n]; other != "" && other != n {
			n += " (" + other + ")"
		}
		text = append(text, n)
	}
	cmd := &cobra.Command{
		Use:  name,
		Long: "Docker's and podman's further names of commands:\n" + wrap(text),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for n, other := range names {
		if other == "" {
			continue
		}
		sub := commands[other]()
		_, arguments, _ := strings.Cut(sub.Use, " ")
		sub.Use, sub.Hidden = n+" "+arguments, true
		if other == "inspect" {
			if err := sub.Flags().Set("type", name); err != nil {
				panic(err) // a mistake in this function
			}
		}
		cmd.AddCommand(sub)
	}
	for _, sub := range own {
		sub.Hidden = true
		cmd.AddCommand(sub)
	}
	return cmd
}

// wrap returns a list in lines of at most 80 characters.
func wrap(words []string) string {
	var lines []string
	line := ""
	for i, word := range words {
		if i < len(words)-1 {
			word += ","
		}
		if line != "" && len(line)+1+len(word) > 80 {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	return strings.Join(append(lines, line), "\n") + "."
}

func newImageCommand() *cobra.Command {
	return newManagementCommand("image", imageNamesOf, newPruneOneCommand("image"), newExistsCommand("image"))
}

func newContainerCommand() *cobra.Command {
	run := newRunCommand()
	run.GroupID = ""
	return newManagementCommand("container", containerNamesOf, run, newPruneOneCommand("container"), newExistsCommand("container"))
}

func newSystemCommand() *cobra.Command { return newManagementCommand("system", systemNamesOf) }

// newExistsCommand returns podman's command that reports by its exit status whether there is an image or
// a container.
func newExistsCommand(kind string) *cobra.Command {
	var where cli.StoreFlags
	cmd := &cobra.Command{
		Use:   "exists NAME",
		Short: "Exit with status 1 if there is none with this name or id",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := openStore(where)
			if err != nil {
				return err
			}
			_, err = inspect(s, args[0], kind, false)
			if errors.Is(err, store.ErrNotFound) {
				cli.Exit(1, nil)
			}
			return err
		},
	}
	where.Add(cmd)
	return cmd
}

// newPruneOneCommand returns prune for images or containers only.
func newPruneOneCommand(kind string) *cobra.Command {
	var f pruneFlags
	var all bool
	cmd := &cobra.Command{
		Use:   "prune [flags]",
		Short: "Remove containers that do not run",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, match, err := f.open()
			if err != nil {
				return err
			}
			o := store.PruneOptions{Containers: kind == "container", Dangling: kind == "image", Unused: all, Waiting: printWaiting, Match: match}
			question := "Remove all stopped containers?"
			switch {
			case all:
				question = "Remove all images that no container uses?"
			case o.Dangling:
				question = "Remove all images without a name?"
			}
			if err := f.ask(question); err != nil {
				return err
			}
			return prune(cmd, s, o, false)
		},
	}
	if kind == "image" {
		cmd.Short = "Remove images without a name"
		cmd.Flags().BoolVarP(&all, "all", "a", false, "also remove all images that no container uses")
	}
	f.add(cmd, "until", "label")
	return cmd
}
