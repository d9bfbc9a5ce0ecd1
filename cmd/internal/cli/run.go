package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rootless-containers/subuidless/internal/launch"
)

// Run is what the command run gets. Both programs have this command: the main program runs
// root file systems, and the image program prepares those of images.
type Run struct {
	Launch  launch.RunOptions // Rootfs and Args are not set
	Target  string            // IMAGE or ROOTFS
	Command []string

	Image ImageRun

	envFiles   []string
	labelFiles []string
	mounts     mountFlags
}

// complete sets what follows from several flags or from files.
func (r *Run) complete() error {
	if err := MakeAbsolute(&r.Launch.Supervisor.Trace, &r.Launch.Supervisor.Sidecar); err != nil {
		return err
	}
	env, err := ReadFiles("--env-file", r.envFiles)
	if err != nil {
		return err
	}
	labels, err := ReadFiles("--label-file", r.labelFiles)
	if err != nil {
		return err
	}
	r.Image.Labels = append(labels, r.Image.Labels...)
	if r.Image.Replace && r.Image.Name == "" {
		return errors.New("--replace needs --name, the container to replace")
	}
	r.Launch.Env = append(env, r.Launch.Env...)
	return r.mounts.apply(&r.Launch)
}

// ImageRun are the flags of run that concern images only.
type ImageRun struct {
	Entrypoint *string // nil: that of the image
	Name       string
	Replace    bool
	Sources    []string // CONTAINER[:ro]: others whose volumes to mount
	Labels     []string
	Notes      []string // annotations, K=V
	Remove     bool
	Detach     bool
	Pull       string
	Restart    string
	LogDriver  string
	LogOptions []string
	IDFile     string
	StopSignal string
	StopTime   int // seconds
	OpenStdin  bool
	Terminal   bool
	Health     HealthFlags
	Driver     string
	Store      StoreFlags
	Transfer   TransferFlags
}

// HealthFlags are the flags about health checks.
type HealthFlags struct {
	Off           bool
	Command       string
	Interval      time.Duration
	Timeout       time.Duration
	StartPeriod   time.Duration
	StartInterval time.Duration
	Retries       int
}

// IsPath reports whether target is the path of a root file system by its form, and not the
// name of an image.
func IsPath(target string) bool {
	return target == "." || target == ".." || strings.HasPrefix(target, "/") ||
		strings.HasPrefix(target, "./") || strings.HasPrefix(target, "../")
}

// Rootfs returns the options to run r.Target as a root file system. It returns an error if
// the user has set a flag that needs an image.
func (r *Run) Rootfs(cmd *cobra.Command) (launch.RunOptions, error) {
	for _, name := range imageFlags {
		if cmd.Flags().Changed(name) {
			return launch.RunOptions{}, fmt.Errorf("run: --%s needs an image, but %s is a directory (docker://%[2]s means the image)", name, r.Target)
		}
	}
	o := r.Launch
	o.Rootfs, o.Args = r.Target, r.Command
	return o, nil
}

// imageFlags are the names of the flags that need an image.
var imageFlags = []string{"detach", "entrypoint", "name", "label", "rm", "pull", "platform", "storage-driver", "cidfile", "volumes-from", "restart", "log-driver", "log-opt",
	"stop-signal", "stop-timeout", "health-cmd", "health-interval", "health-timeout", "health-start-period", "health-start-interval", "health-retries", "no-healthcheck",
	"replace", "label-file", "annotation"}

// NewRunCommand returns the command run. Names completes the names of images.
func NewRunCommand(run func(*cobra.Command, *Run) error, names cobra.CompletionFunc) *cobra.Command {
	var r Run
	var entrypoint string
	var accelerate func() error
	cmd := &cobra.Command{
		Use:     "run [flags] IMAGE|ROOTFS [--] [COMMAND [ARG...]]",
		GroupID: GroupRun,
		Short:   "Run a command in a container, without an OCI runtime",
		Long: `Run a command in a supervised container, in user, mount, PID, IPC, UTS and cgroup
namespaces of its own. If standard input and output are a terminal, the command
runs in a new terminal.

The root file system is that of IMAGE (see subuidless pull --help), which is pulled
if the store does not have it, or the directory ROOTFS. A path that begins with /
or . is a ROOTFS; another name is looked up as an image in the store, then as a
directory, and else is an image to pull. The default command, user, working
directory and environment are those of the image; for a ROOTFS, the command is
/bin/sh. Changes of an image's files are kept in the container until subuidless rm
or prune removes it.

With --detach, the container runs in the background, and its id is printed;
subuidless ps, logs, exec, stop and others work with it.

The container has its own copies of the host's /etc/hosts and /etc/resolv.conf.
They can be changed, unless the rootfs is read-only, and end with the container.

The exit status is that of the command; 128+N if signal N killed it; 127 if the
command was not found, 126 if it cannot be executed, and 125 if subuidless itself
failed.`,
		Example: `  subuidless run --rm alpine
  subuidless run -d --name web -v data:/var/lib/app registry.example.org/app
  subuidless run --rm --user nobody docker.io/library/debian:12 id
  subuidless run --volume "$PWD:/src" --workdir /src bundle/rootfs -- make install`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				Exit(launch.StatusFailed, errors.New("run: no IMAGE and no ROOTFS directory given; see subuidless run --help"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := r.complete(); err != nil {
				Exit(launch.StatusFailed, fmt.Errorf("run: %w", err))
			}
			if err := accelerate(); err != nil {
				Exit(launch.StatusFailed, err)
			}
			if r.Target, r.Command = args[0], args[1:]; len(r.Command) > 0 && r.Command[0] == "--" {
				r.Command = r.Command[1:]
			}
			if cmd.Flags().Changed("entrypoint") {
				r.Image.Entrypoint = &entrypoint
			}
			return run(cmd, &r)
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
			switch {
			case len(args) > 0:
				return nil, cobra.ShellCompDirectiveDefault
			case strings.ContainsAny(toComplete, "./"):
				return nil, cobra.ShellCompDirectiveFilterDirs
			}
			return names(cmd, args, toComplete)
		},
	}
	flags := cmd.Flags()
	flags.SetInterspersed(false) // flags after IMAGE or ROOTFS are the command's own
	flags.BoolVarP(&r.Image.Detach, "detach", "d", false, "run the container in the background, and print its id")
	accelerate = r.addFlags(cmd, &entrypoint)
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return ExitFlagError(cmd, explainFlag(err)) })
	return cmd
}

// addFlags adds the flags that run and create have in common. Accelerate is as in
// AddAccelerateFlags.
func (r *Run) addFlags(cmd *cobra.Command, entrypoint *string) (accelerate func() error) {
	flags := cmd.Flags()
	addLaunchFlags(flags, &r.Launch)
	flags.StringArrayVar(&r.envFiles, "env-file", nil, "set variables from the lines of a `file`; may be repeated")
	flags.StringArrayVar(&r.labelFiles, "label-file", nil, "label the container with the lines K=V of a `file`; may be repeated")
	r.mounts.add(flags)
	flags.StringVar(entrypoint, "entrypoint", "", "`command` to run instead of the image's ENTRYPOINT and CMD")
	addImageFlags(flags, &r.Image)
	r.Image.Store.Add(cmd)
	r.Image.Transfer.Add(cmd, true)
	AddSupervisorFlags(cmd, &r.Launch.Supervisor)
	AddSummaryFlag(cmd, &r.Launch.Summary)
	accelerate = AddAccelerateFlags(cmd, &r.Launch.Supervisor)
	CompleteFlag(cmd, "net", launch.NetHost, launch.NetNone)
	CompleteFlag(cmd, "pull", "missing", "always", "never")
	CompleteFlag(cmd, "storage-driver", "overlay", "copy")
	return accelerate
}

// NewCreateCommand returns the command create, whose arguments and flags are those of run.
func NewCreateCommand(create func(*cobra.Command, *Run) error, names cobra.CompletionFunc) *cobra.Command {
	var r Run
	var entrypoint string
	var accelerate func() error
	cmd := &cobra.Command{
		Use: "create [flags] IMAGE [COMMAND [ARG...]]",
		Long: `Create a container of an image, which is pulled if the store does not have it, and
print its id. The flags are those of subuidless run; subuidless start runs it.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := r.complete(); err != nil {
				return err
			}
			if err := accelerate(); err != nil {
				return err
			}
			if r.Target, r.Command = args[0], args[1:]; cmd.Flags().Changed("entrypoint") {
				r.Image.Entrypoint = &entrypoint
			}
			return create(cmd, &r)
		},
		ValidArgsFunction: names,
	}
	cmd.Flags().SetInterspersed(false)
	accelerate = r.addFlags(cmd, &entrypoint)
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return explainFlag(err) })
	return cmd
}

func addLaunchFlags(flags *pflag.FlagSet, o *launch.RunOptions) {
	flags.StringVarP(&o.User, "user", "u", "", "run as `NAME|UID[:GROUP|:GID]`, looked up in the rootfs (default that of the\nimage, or root)")
	flags.StringArrayVarP(&o.Env, "env", "e", nil, "set a variable with `K=V`, or pass K through from the environment; may be repeated")
	flags.StringVarP(&o.Workdir, "workdir", "w", "", "working `directory` in the container (default that of the image, or /)")
	flags.StringArrayVarP(&o.Volumes, "volume", "v", nil, "bind-mount a host file or directory or a named volume of an image's container,\n`SRC:DST[:ro]`; may be repeated")
	flags.StringVar(&o.Net, "net", launch.NetHost, "`network`: host, or none for a loopback interface only; also --network")
	flags.StringVar(&o.Hostname, "hostname", "", "`hostname` of the container (default that of the host)")
	AddHostFlag(flags, &o.Hosts)
	addResolverFlag(flags, &o.Resolver, "dns", "use the name server `ADDRESS` instead of those of the host; may be repeated")
	addResolverFlag(flags, &o.Resolver, "dns-search", "search the `domain` instead of those of the host, or none if it is .; may be\nrepeated")
	addResolverFlag(flags, &o.Resolver, "dns-option", "use the `option` of resolv.conf(5) instead of those of the host; may be repeated")
	flags.StringArrayVar(&o.Groups, "group-add", nil, "add a `group` to those of the user, a name in the rootfs or an id; may be repeated")
	AddLimitFlag(flags, &o.Limits)
	addResourceFlags(flags, &o.Resources)
	addParsedFlag(flags, &o.CapDrop, "cap-drop", "", "drop a `capability`, or ALL; root has all over the files and namespaces of the\ncontainer; may be repeated", launch.ParseCapability)
	addParsedFlag(flags, &o.CapAdd, "cap-add", "", "keep a `capability` in spite of --cap-drop=ALL; may be repeated", launch.ParseCapability)
	addParsedFlag(flags, &o.Devices, "device", "", "also have a device of the host that you can use: `SRC[:DST][:rwm]`; may be repeated", launch.ParseDevice)
	addParsedFlag(flags, &o.Ports, "publish", "p", "require a `PORT:PORT[/udp]` of the host, whose network the container has, to be free;\nmay be repeated", launch.ParsePort)
	addKernelFlags(flags, o)
	flags.BoolVar(&o.ReadOnly, "read-only", false, "mount the rootfs read-only")
	flags.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "network" {
			name = "net"
		}
		return pflag.NormalizedName(name)
	})
}

func addImageFlags(flags *pflag.FlagSet, o *ImageRun) {
	flags.StringVar(&o.Name, "name", "", "`name` of the container")
	flags.BoolVar(&o.Replace, "replace", false, "remove the container that has the --name, even if it runs")
	flags.Bool("init", true, "accepted as in docker: the first process is always an init")
	flags.StringArrayVarP(&o.Labels, "label", "l", nil, "label `K=V` of the container; may be repeated")
	flags.StringArrayVar(&o.Notes, "annotation", nil, "annotation `K=V` of the container, which inspect shows; may be repeated")
	flags.StringArrayVar(&o.Sources, "volumes-from", nil, "also mount what is mounted in another `container`, NAME[:ro]; may be repeated")
	flags.BoolVar(&o.Remove, "rm", false, "remove the container when it ends")
	flags.StringVar(&o.Pull, "pull", "missing", "`when` to pull the image: missing, always or never")
	flags.StringVar(&o.Driver, "storage-driver", os.Getenv("STORAGE_DRIVER"), "how to make the root file system, a `driver`: overlay or copy (default\n$STORAGE_DRIVER, or overlay where it works)")
	flags.BoolVarP(&o.OpenStdin, "interactive", "i", false, "with --detach, keep standard input open; without it, standard input is\nalways connected")
	flags.BoolVarP(&o.Terminal, "tty", "t", false, "with --detach, use a terminal; without it, there is one if standard input\nand output are one")
	flags.StringVar(&o.IDFile, "cidfile", "", "write the id of the container to a new `file`")
	flags.StringVar(&o.Restart, "restart", "no", "`policy`: only no is supported, because no daemon could restart a container")
	flags.StringVar(&o.LogDriver, "log-driver", "k8s-file", "`driver` that keeps the output of a container in the background: k8s-file or none")
	flags.StringArrayVar(&o.LogOptions, "log-opt", nil, "rotate the log: `max-size=SIZE`, and max-file=NUMBER of files to keep (default 1);\nmay be repeated")
	flags.StringVar(&o.StopSignal, "stop-signal", "", "`signal` that subuidless stop sends (default that of the image, or SIGTERM)")
	flags.IntVar(&o.StopTime, "stop-timeout", 0, "`seconds` after which subuidless stop sends SIGKILL (default 10)")
	flags.StringVar(&o.Health.Command, "health-cmd", "", "shell `command` that checks the health (default that of the image)")
	flags.DurationVar(&o.Health.Interval, "health-interval", 0, "`time` between two checks (default that of the image, or 30s)")
	flags.DurationVar(&o.Health.Timeout, "health-timeout", 0, "`time` that a check may take (default that of the image, or 30s)")
	flags.DurationVar(&o.Health.StartPeriod, "health-start-period", 0, "`time` in which failures do not count (default that of the image, or 0s)")
	flags.DurationVar(&o.Health.StartInterval, "health-start-interval", 0, "`time` between two checks in the start period, until one succeeds (default that of\nthe image, or --health-interval)")
	flags.IntVar(&o.Health.Retries, "health-retries", 0, "`number` of consecutive failures that mean unhealthy (default that of the\nimage, or 3)")
	flags.BoolVar(&o.Health.Off, "no-healthcheck", false, "disable health checks")
}

// addResolverFlag adds a flag whose values are in resolv.conf(5).
func addResolverFlag(flags *pflag.FlagSet, lines *[]string, name, usage string) {
	addParsedFlag(flags, lines, name, "", usage, func(text string) (string, error) { return launch.ParseResolver(name, text) })
}

// AddLimitFlag adds --ulimit.
func AddLimitFlag(flags *pflag.FlagSet, limits *[]string) {
	addParsedFlag(flags, limits, "ulimit", "", "set a resource limit, `NAME=SOFT[:HARD]`, with -1 for none; may be repeated", launch.ParseLimit)
}

// AddHostFlag adds --add-host.
func AddHostFlag(flags *pflag.FlagSet, hosts *[]string) {
	addParsedFlag(flags, hosts, "add-host", "", "add the host `NAME:ADDRESS` to /etc/hosts; may be repeated", launch.ParseHost)
}

// addParsedFlag adds a flag that may be repeated, and that adds to list what parse returns for its value.
func addParsedFlag(flags *pflag.FlagSet, list *[]string, name, shorthand, usage string, parse func(text string) (string, error)) {
	flags.FuncP(name, shorthand, usage, func(text string) error {
		value, err := parse(text)
		if err == nil {
			*list = append(*list, value)
		}
		return err
	})
}
