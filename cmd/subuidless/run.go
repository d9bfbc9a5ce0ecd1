package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rootless-containers/subuidless/internal/image/container"
	"github.com/rootless-containers/subuidless/internal/image/reference"
	"github.com/rootless-containers/subuidless/internal/launch"
)

// runFlags are the flags of run that concern images only.
type runFlags struct {
	where    storeFlags
	how      transferFlags
	options  container.RunOptions
	driver   string
	entry    string
	accepted bool // flags of docker that change nothing here
}

func newRunCommand() *cobra.Command {
	var o launch.RunOptions
	var image runFlags
	cmd := &cobra.Command{
		Use:     "run [flags] IMAGE|ROOTFS [--] [COMMAND [ARG...]]",
		GroupID: groupRun,
		Short:   "Run a command in a container, without an OCI runtime",
		Long: `Run a command in a supervised container, in user, mount, PID, IPC, UTS and cgroup
namespaces of its own. If standard input and output are a terminal, the command
runs in a new terminal.

The root file system is that of IMAGE (see subuidless pull --help), which is pulled
if the store does not have it, or the directory ROOTFS. A path that begins with /
or . is a ROOTFS; other names are that of an image of the store, else of a
directory, else of an image to pull. The default command, user, working directory
and environment are those of the image; for a ROOTFS, the command is /bin/sh.
Changes of an image's files are kept in the container, until subuidless rm or
prune removes it.

The container has its own copies of the host's /etc/hosts and /etc/resolv.conf.
They can be changed, unless the rootfs is read-only, and end with the container.

The exit status is that of the command; 128+N if signal N killed it; 127 if the
command was not found, 126 if it cannot be executed, and 125 if subuidless itself
failed.`,
		Example: `  subuidless run --rm alpine
  subuidless run --rm --user nobody docker.io/library/debian:12 id
  subuidless run --volume "$PWD:/src" --workdir /src bundle/rootfs -- make install`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				exit(launch.StatusFailed, errors.New("run: no IMAGE and no ROOTFS directory given; see subuidless run --help"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := makeAbsolute(&o.Supervisor.Trace, &o.Supervisor.Sidecar); err != nil {
				return err
			}
			name, command := args[0], args[1:]
			if len(command) > 0 && command[0] == "--" {
				command = command[1:]
			}
			if isRootfs(&image.where, name) {
				if flag := image.changed(cmd); flag != "" {
					exit(launch.StatusFailed, fmt.Errorf("run: --%s needs an image, but %s is a directory (docker://%s means the image)", flag, name, name))
				}
				o.Rootfs, o.Args = name, command
				exit(launch.Run(o))
			}
			if image.options.Image, image.options.Args = name, command; cmd.Flags().Changed("entrypoint") {
				image.options.Entrypoint = &image.entry
			}
			exit(image.run(o))
			return nil
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
			switch {
			case len(args) > 0:
				return nil, cobra.ShellCompDirectiveDefault
			case strings.ContainsAny(toComplete, "./"):
				return nil, cobra.ShellCompDirectiveFilterDirs
			}
			return imageNames(cmd, args, toComplete)
		},
	}
	flags := cmd.Flags()
	flags.SetInterspersed(false) // flags after IMAGE or ROOTFS are the command's own
	flags.StringVarP(&o.User, "user", "u", "", "run as `NAME|UID[:GROUP|:GID]`, looked up in the rootfs (default that of the\nimage, or root)")
	flags.StringArrayVarP(&o.Env, "env", "e", nil, "set a variable with `K=V`, or pass K through from the environment; may be repeated")
	flags.StringVarP(&o.Workdir, "workdir", "w", "", "working `directory` in the container (default that of the image, or /)")
	flags.StringArrayVarP(&o.Volumes, "volume", "v", nil, "bind-mount a host file or directory, `SRC:DST[:ro]`; may be repeated")
	flags.StringVar(&o.Net, "net", launch.NetHost, "`network`: host, or none for a loopback interface only; also --network")
	flags.StringVar(&o.Hostname, "hostname", "", "`hostname` of the container (default that of the host)")
	flags.BoolVar(&o.ReadOnly, "read-only", false, "mount the rootfs read-only")
	image.add(cmd)
	addSupervisorFlags(cmd, &o.Supervisor)
	cmd.SetFlagErrorFunc(exitFlagError)
	registerNetCompletion(cmd)
	return cmd
}

// imageFlags are the names of the flags that need an image.
var imageFlags = []string{"entrypoint", "name", "label", "rm", "pull", "platform", "storage-driver"}

func (f *runFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.entry, "entrypoint", "", "`command` to run instead of the image's ENTRYPOINT and CMD")
	flags.StringVar(&f.options.Name, "name", "", "`name` of the container")
	flags.StringArrayVarP(&f.options.Labels, "label", "l", nil, "label `K=V` of the container; may be repeated")
	flags.BoolVar(&f.options.Remove, "rm", false, "remove the container when it ends")
	flags.StringVar(&f.options.Pull, "pull", container.PullMissing, "`when` to pull the image: missing, always or never")
	flags.StringVar(&f.driver, "storage-driver", os.Getenv("STORAGE_DRIVER"), "make the root file system by overlay or by `copy` (default: overlay where\nit works, or $STORAGE_DRIVER)")
	flags.BoolVarP(&f.accepted, "interactive", "i", false, "accepted as in docker: standard input is always connected")
	flags.BoolVarP(&f.accepted, "tty", "t", false, "accepted as in docker: there is a terminal if standard input and output are one")
	f.where.add(cmd)
	f.how.add(cmd, true)
	flags.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "network" {
			name = "net"
		}
		return pflag.NormalizedName(name)
	})
}

// changed returns the name of a flag that needs an image and that the user has set, or "".
func (f *runFlags) changed(cmd *cobra.Command) string {
	for _, name := range imageFlags {
		if cmd.Flags().Changed(name) {
			return name
		}
	}
	return ""
}

// isRootfs reports whether name is that of a root file system, and not of an image.
func isRootfs(where *storeFlags, name string) bool {
	if reference.IsPath(name) {
		return true
	}
	st, err := os.Stat(name)
	if err != nil {
		return false
	}
	if strings.Contains(name, "/") || !st.IsDir() {
		return strings.Contains(name, "/")
	}
	s, err := where.open()
	if err != nil {
		return true
	}
	known, err := registries()
	return err != nil || !s.IsName(name, known.Aliases)
}

// run runs a container of an image.
func (f *runFlags) run(o launch.RunOptions) (status int, err error) {
	known, err := registries()
	if err != nil {
		return launch.StatusFailed, err
	}
	s, err := f.where.open()
	if err != nil {
		return launch.StatusFailed, err
	}
	if f.options.Driver, err = container.ParseDriver(f.driver); err != nil {
		return launch.StatusFailed, err
	}
	switch f.options.Pull {
	case container.PullMissing, container.PullAlways, container.PullNever:
	default:
		return launch.StatusFailed, fmt.Errorf("--pull %q: must be missing, always or never", f.options.Pull)
	}
	f.options.Transfer, f.options.Launch = f.how.options(), o
	ctx, stop := interruptible()
	c, err := container.Create(ctx, s, known, f.options)
	err = explainInterrupt(ctx, err)
	stop() // from now on, signals are for the command
	if err != nil {
		return launch.StatusFailed, err
	}
	return c.Run()
}

func registerNetCompletion(cmd *cobra.Command) {
	values := cobra.FixedCompletions([]string{launch.NetHost, launch.NetNone}, cobra.ShellCompDirectiveNoFileComp)
	if err := cmd.RegisterFlagCompletionFunc("net", values); err != nil {
		panic(err) // a mistake in this file: there is no such flag
	}
}
