package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/image/store"
	"github.com/rootless-containers/subuidless/internal/image/transfer"
)

func newPruneCommand() *cobra.Command {
	var f pruneFlags
	var all, volumes bool
	cmd := &cobra.Command{
		Use: "prune [flags]",
		Long: `Remove containers that do not run, images without a name, and all files of the
store that no image and no container needs, such as those of an interrupted pull.
With --all, also remove images that no container uses, and with --volumes, volumes.

The keys of --filter are until, a time or a duration before now, label and label!.
Only containers, images and volumes that fit all of them are removed, and files that
nothing needs.`,
		Example: `  subuidless prune --force --all --filter until=240h --filter label!=keep`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, match, err := f.open()
			if err != nil {
				return err
			}
			if volumes && slices.ContainsFunc(f.filters, func(f string) bool { return strings.HasPrefix(f, "until=") }) {
				return errors.New("--volumes and --filter until=... exclude each other, as in docker: a volume may be used long after it was made")
			}
			if err := f.ask(pruneQuestion(all, volumes)); err != nil {
				return err
			}
			o := store.PruneOptions{Dangling: true, Unused: all, Containers: true, Waiting: printWaiting, Match: match}
			return prune(cmd, s, o, volumes)
		},
	}
	cmd.Flags().BoolVarP(&all, "all", "a", false, "also remove all images that no container uses")
	cmd.Flags().BoolVar(&volumes, "volumes", false, "also remove all volumes that no container uses")
	f.add(cmd, "until", "label")
	return cmd
}

// prune removes what o says, and with volumes also volumes that no container uses.
func prune(cmd *cobra.Command, s *store.Store, o store.PruneOptions, volumes bool) error {
	p, err := s.Prune(o)
	if err != nil {
		return err
	}
	printKept(p)
	for _, id := range p.Containers {
		fmt.Fprintln(cmd.OutOrStdout(), "Deleted container:", id)
	}
	for _, name := range p.Images {
		fmt.Fprintln(cmd.OutOrStdout(), "Deleted image:", name)
	}
	if volumes {
		removed, err := s.PruneVolumes(o.Match)
		if err != nil {
			return err
		}
		for _, name := range removed {
			fmt.Fprintln(cmd.OutOrStdout(), "Deleted volume:", name)
		}
	}
	fmt.Fprintln(cmd.OutOrStdout(), "Total reclaimed space:", transfer.Bytes(p.Bytes))
	return nil
}

// printKept names what is damaged, if that keeps files.
func printKept(p *store.Pruned) {
	printDamaged(p.Damaged)
	if len(p.Damaged) > 0 {
		fmt.Fprintln(os.Stderr, "subuidless: warning: all files of images are kept until nothing is damaged, because it may need them")
	}
}

// pruneQuestion returns what to ask the user before everything is removed that prune removes.
func pruneQuestion(all, volumes bool) string {
	question := "Remove all stopped containers and all images without a name"
	if all {
		question = "Remove all stopped containers and all images that no container uses"
	}
	if volumes {
		question += ", and all volumes that no container uses"
	}
	return question + "?"
}

// ask asks the user a question, if there is a terminal, and returns an error unless the answer is yes.
func ask(question string) error {
	if _, err := unix.IoctlGetTermios(int(os.Stdin.Fd()), unix.TCGETS); err != nil {
		return errors.New("cannot ask, because the standard input is not a terminal; use --force")
	}
	fmt.Fprint(os.Stderr, question, " [y/N] ")
	answer, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil || !strings.EqualFold(strings.TrimSpace(answer), "y") {
		return errors.New("nothing was removed")
	}
	return nil
}

func newStoreCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "store",
		Long: `Examine the store of images and containers. It is an OCI image layout, which other
tools can read.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newStoreCheckCommand(), newStorePathCommand())
	return cmd
}

func newStoreCheckCommand() *cobra.Command {
	var where cli.StoreFlags
	var repair bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Verify each file of the store, and that each image is complete",
		Long: `Verify the digest of each file of images, that each image has all of its files, and
that what is noted about each container can be read. Leftovers of interrupted commands
are no damage; subuidless prune removes them. The exit status is 1 if something is
damaged, even if it has been repaired.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := openStore(where)
			if err != nil {
				return err
			}
			problems, err := s.Check(repair, printWaiting)
			if err != nil {
				return err
			}
			for _, p := range problems {
				fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", p.Object, p.Message)
			}
			switch {
			case len(problems) == 0:
				fmt.Fprintln(cmd.OutOrStdout(), "The store is in order.")
				return nil
			case repair:
				return fmt.Errorf("%d problems; damaged files and incomplete images have been removed", len(problems))
			}
			return fmt.Errorf("%d problems; --repair removes damaged files and incomplete images, so that they can be pulled again", len(problems))
		},
	}
	cmd.Flags().BoolVar(&repair, "repair", false, "remove damaged files, and images that are not complete")
	where.Add(cmd)
	return cmd
}

func newStorePathCommand() *cobra.Command {
	var where cli.StoreFlags
	cmd := &cobra.Command{
		Use:   "path",
		Short: "Print the directory of the store",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := openStore(where)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), s.Dir)
			return nil
		},
	}
	where.Add(cmd)
	return cmd
}
