package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/sidecar"
	"github.com/rootless-containers/subuidless/internal/supervisor"
)

func newSidecarCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:     "sidecar",
		GroupID: cli.GroupOther,
		Short:   "Show, shrink and move owners that are not stored with the files",
		Long: `Show, shrink and move what subuidless stores outside of the files: the sidecar.

Most files carry their owners themselves. The sidecar has those of files on file
systems without extended attributes, and trusted.* and security.* attributes and
ACLs of symbolic links, FIFOs, sockets and devices.`,
		Args: cobra.NoArgs,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if supervisor.Active() {
				return errors.New("sidecar: subuidless supervises this process, and hides what it stores; run the command outside of the container")
			}
			if dir == "" {
				var err error
				dir, err = owner.DefaultSidecar()
				return err
			}
			return cli.MakeAbsolute(&dir)
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&dir, "sidecar", "", "use the sidecar in `DIR` (default ~/.local/state/subuidless/sidecar)")
	cmd.AddCommand(newSidecarListCommand(&dir), newSidecarCollectCommand(&dir), newSidecarExportCommand(&dir), newSidecarImportCommand(&dir))
	return cmd
}

func newSidecarListCommand(dir *string) *cobra.Command {
	return &cobra.Command{
		Use:   "ls [DIR...]",
		Short: "List what the sidecar holds",
		Long: `List what the sidecar holds, the newest first. The sidecar identifies files by inode;
their paths are looked up in the trees DIR.`,
		Example: `  subuidless sidecar ls ./rootfs`,
		RunE: func(cmd *cobra.Command, args []string) error {
			trees, err := newTrees(args)
			if err != nil {
				return err
			}
			return sidecar.List(*dir, trees, cmd.OutOrStdout())
		},
	}
}

func newSidecarCollectCommand(dir *string) *cobra.Command {
	var o sidecar.CollectOptions
	cmd := &cobra.Command{
		Use:   "gc DIR...",
		Short: "Make the sidecar smaller",
		Long: `Move what the sidecar has about files in the trees DIR into the files, if they can
carry it, and remove what belongs to files that no longer exist.

A file no longer exists if a newer one in DIR has its inode number. With --complete,
it does not exist either if no DIR has it: name every tree with files that may have
entries, on mounted file systems. What a running process has open stays, and so does
what concerns other devices than those of DIR. Containers may run meanwhile.`,
		Example: `  subuidless sidecar gc --dry-run ./rootfs
  subuidless sidecar gc --complete ~/rootfs1 ~/rootfs2 /mnt/nfs`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.Trees, err = newTrees(args); err != nil {
				return err
			}
			o.Dir = *dir
			return sidecar.Collect(o, cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&o.Complete, "complete", false, "remove what belongs to no file in DIR")
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "only show what would be done")
	return cmd
}

func newSidecarExportCommand(dir *string) *cobra.Command {
	var (
		all    bool
		output string
	)
	cmd := &cobra.Command{
		Use:   "export [flags] DIR",
		Short: "Write what a copy of a tree lacks, as an mtree specification",
		Long: `Write an mtree(5) specification with what is missing if you copy the tree DIR outside
of a container: what the sidecar holds, owners of symbolic links, FIFOs, sockets and
devices, and file capabilities. "subuidless sidecar import" adds it to the copy.`,
		Example: `  tar --xattrs -cf rootfs.tar ./rootfs
  subuidless sidecar export -o rootfs.mtree ./rootfs`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			tree, err := sidecar.NewTree(args[0])
			if err != nil {
				return err
			}
			if output == "" {
				return sidecar.Export(*dir, tree, all, cmd.OutOrStdout())
			}
			f, err := os.Create(output)
			if err != nil {
				return err
			}
			return errors.Join(sidecar.Export(*dir, tree, all, f), f.Close())
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also write what user.* attributes hold, for copies without them")
	cmd.Flags().StringVarP(&output, "output", "o", "", "write to `FILE` instead of the standard output")
	return cmd
}

func newSidecarImportCommand(dir *string) *cobra.Command {
	var input string
	cmd := &cobra.Command{
		Use:   "import [flags] DIR",
		Short: "Record what an mtree specification says about a tree",
		Long: `Record the owners, devices, ACLs and attributes that an mtree(5) specification says
the files in the tree DIR have. They are stored with the files if possible, and in the
sidecar otherwise. Devices that do not exist are created; tar, for example, leaves
them out. The specification may also come from another program, such as bsdtar.`,
		Example: `  tar --xattrs --xattrs-include='user.*' -xf rootfs.tar
  subuidless sidecar import -i rootfs.mtree ./rootfs`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			tree, err := sidecar.NewTree(args[0])
			if err != nil {
				return err
			}
			in := cmd.InOrStdin()
			if input != "" {
				f, err := os.Open(input)
				if err != nil {
					return err
				}
				defer f.Close()
				in = f
			}
			return sidecar.Import(*dir, tree, in)
		},
	}
	cmd.Flags().StringVarP(&input, "input", "i", "", "read `FILE` instead of the standard input")
	return cmd
}

// newTrees returns the trees of the arguments.
func newTrees(names []string) ([]sidecar.Tree, error) {
	var trees []sidecar.Tree
	for _, name := range names {
		t, err := sidecar.NewTree(name)
		if err != nil {
			return nil, err
		}
		trees = append(trees, t)
	}
	return trees, nil
}
