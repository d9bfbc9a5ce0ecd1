package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/launch"
	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/proot"
)

// prootVersion is the version of proot(1) whose options these are, with --kill-on-exit of later ones.
const prootVersion = "5.1.0"

// refusedByProot says why options of proot(1) cannot be had here.
var refusedByProot = map[string]string{
	"qemu":           "programs of other architectures run by binfmt_misc of the host, which its administrator sets up (apt-get install qemu-user-static)",
	"kernel-release": "programs ask the kernel for its release, without a supervisor",
}

func newProotCommand() *cobra.Command {
	var o proot.Options
	var asRoot, version bool
	var mounts []string // further binds
	var ids, verbose, withUsual, withMinimal string
	refused := map[string]*string{"qemu": new(string), "kernel-release": new(string)}
	cmd := &cobra.Command{
		Use:     "proot [flags] [--] [COMMAND [ARG...]]",
		GroupID: cli.GroupRun,
		Short:   "Run a command in another root directory, as proot(1) does",
		Long: `Run a command (default: /bin/sh) in a root file system, with files and directories of
the host, with the options of proot(1). A link to subuidless named proot takes the
same arguments, so Apptainer and other tools that look for proot find it.

With -0 and -S, the command is root, and the owners of files are recorded with them,
as with subuidless exec. Otherwise it has your ids or those of -i, and changes of
owners end with it.

Unlike with PRoot, a mount point that the root file system lacks is created, and
stays. Static programs and all system calls work, without ptrace.

The exit status is that of the command; 128+N if signal N killed it; 127 if the
command was not found, 126 if it cannot be executed, and 125 if subuidless itself
failed.`,
		Example: `  subuidless proot -S ./rootfs apt-get install -y hello
  subuidless proot -r ./rootfs -b /proc -b "$PWD:/src" -w /src make`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if version {
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "proot %s (subuidless %s)\n", prootVersion, cli.BuildVersion())
				return err
			}
			for name, why := range refusedByProot {
				if cmd.Flags().Changed(name) {
					cli.Exit(launch.StatusFailed, fmt.Errorf("proot: --%s is not supported: %s", name, why))
				}
			}
			o.Args, o.Binds = args, append(o.Binds, mounts...)
			o.User = owner.ID{UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}
			for _, usual := range []struct {
				root string
				list []string
			}{{withUsual, proot.OfUser}, {withMinimal, proot.OfRoot}} {
				if usual.root != "" {
					o.Root, o.Usual = usual.root, usual.list
					if home := os.Getenv("HOME"); filepath.IsAbs(home) && home != "/" {
						o.Usual = append(slices.Clone(usual.list), home)
					}
				}
			}
			if asRoot || withMinimal != "" {
				o.User = owner.ID{}
			}
			if ids != "" {
				var err error
				if o.User, err = parseIDs(ids); err != nil {
					cli.Exit(launch.StatusFailed, fmt.Errorf("proot: %w", err))
				}
			}
			if err := cli.MakeAbsolute(&o.Supervisor.Trace); err != nil {
				return err
			}
			cli.Exit(proot.Run(o))
			return nil
		},
	}
	flags := cmd.Flags()
	flags.SetInterspersed(false) // flags after COMMAND are the command's own
	flags.StringVarP(&o.Root, "rootfs", "r", "", "make the directory `PATH` the root directory (default /)")
	flags.StringArrayVarP(&o.Binds, "bind", "b", nil, "show a file or directory of the host in the root directory: `HOST[:GUEST]`;\nmay be repeated")
	flags.StringArrayVarP(&mounts, "mount", "m", nil, "the same as --bind (`HOST[:GUEST]`)")
	flags.StringVarP(&o.Dir, "cwd", "w", "", "start in the directory `PATH` of the root directory")
	flags.StringVar(&o.Dir, "pwd", "", "the same as --cwd (`PATH`)")
	flags.BoolVarP(&asRoot, "root-id", "0", false, "be root, and record owners with the files")
	flags.StringVarP(&ids, "change-id", "i", "", "be the user and group `UID:GID`, to whom your files belong")
	flags.StringVarP(&withUsual, "rootfs-with-host", "R", "", "as -r `PATH`, with the host's accounts, names, /dev, /sys, /proc, /tmp and $HOME")
	flags.StringVarP(&withMinimal, "rootfs-as-root", "S", "", "as -0 -r `PATH`, with the host's names, /dev, /sys, /proc, /tmp and $HOME")
	flags.BoolVar(&o.KillOnExit, "kill-on-exit", false, "when the command ends, kill the processes that it has left behind")
	flags.StringVarP(&verbose, "verbose", "v", "", "accepted, and ignored: a `level` of messages")
	flags.BoolVarP(&version, "version", "V", false, "print the version and exit")
	flags.StringVarP(refused["qemu"], "qemu", "q", "", "refused: a `command` that emulates another processor")
	flags.StringVarP(refused["kernel-release"], "kernel-release", "k", "", "refused: another `release` of the kernel")
	flags.StringVar(&o.Supervisor.Trace, "trace", "", "append a line to `FILE` for each emulated system call, in the style of strace")
	cli.AddSummaryFlag(cmd, &o.Summary)
	cmd.SetFlagErrorFunc(cli.ExitFlagError)
	return cmd
}

// parseIDs parses UID:GID.
func parseIDs(text string) (owner.ID, error) {
	uid, gid, found := strings.Cut(text, ":")
	u, uerr := strconv.ParseUint(uid, 10, 32)
	g, gerr := strconv.ParseUint(gid, 10, 32)
	if err := errors.Join(uerr, gerr); err != nil || !found || uint32(u) == ^uint32(0) || uint32(g) == ^uint32(0) {
		return owner.ID{}, fmt.Errorf("-i %s: must be UID:GID, two numbers below 4294967295", text)
	}
	return owner.ID{UID: uint32(u), GID: uint32(g)}, nil
}
