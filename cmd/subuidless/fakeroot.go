package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/fakeroot"
)

// fakerootVersion is the version of fakeroot(1) whose options and state files these are.
const fakerootVersion = "1.31"

func newFakerootCommand() *cobra.Command {
	var o fakeroot.Options
	var ignored string
	var fd uint
	var version bool
	cmd := &cobra.Command{
		Use:     "fakeroot [flags] [--] [COMMAND [ARG...]]",
		GroupID: cli.GroupRun,
		Short:   "Run a command as root with every user id, as fakeroot(1) does",
		Long: `Run a command (default: $SHELL) as root, on the host's own files, with the options,
the environment and the state files of fakeroot(1). A link to subuidless named
fakeroot takes the same arguments, so dpkg-buildpackage, makepkg, abuild and other
tools need no change.

Unlike with subuidless exec, owners and devices that the command records end with
it. To keep them, save them with -s and load them with -i. Records that subuidless
exec has made are visible, and remain unchanged.

The exit status is that of the command; 128+N if signal N killed it; 127 if the
command was not found, 126 if it cannot be executed, and 125 if subuidless itself
failed.`,
		Example: `  subuidless fakeroot sh -c 'make install DESTDIR=$PWD/root && tar -C root -cf app.tar .'
  dpkg-buildpackage -b -r'subuidless fakeroot'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if version {
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "fakeroot version %s (subuidless %s)\n", fakerootVersion, cli.BuildVersion())
				return err
			}
			o.Args = args
			if err := cli.MakeAbsolute(&o.Supervisor.Trace, &o.Load, &o.Save); err != nil {
				return err
			}
			cli.Exit(fakeroot.Run(o))
			return nil
		},
	}
	flags := cmd.Flags()
	flags.SetInterspersed(false) // flags after COMMAND are the command's own
	flags.StringVarP(&o.Load, "load-file", "i", "", "load owners and devices from a state `file`")
	flags.StringVarP(&o.Save, "save-file", "s", "", "when the command has ended, save them to a state `file`")
	flags.BoolVarP(&o.UnknownIsReal, "unknown-is-real", "u", false, "show your own ids as the owner of files without a record, not root")
	flags.StringVarP(&ignored, "lib", "l", "", "accepted, and ignored: no `library` is loaded")
	flags.StringVarP(&ignored, "faked", "f", "", "accepted, and ignored: no `daemon` is started")
	flags.UintVarP(&fd, "fd-base", "b", 0, "accepted, and ignored: the command gets no descriptor (`FD`)")
	flags.BoolVarP(&version, "version", "v", false, "print the version and exit")
	flags.StringVar(&o.Supervisor.Trace, "trace", "", "append a line to `FILE` for each emulated system call, in the style of strace")
	cli.AddSummaryFlag(cmd, &o.Summary)
	cmd.SetFlagErrorFunc(cli.ExitFlagError)
	return cmd
}
