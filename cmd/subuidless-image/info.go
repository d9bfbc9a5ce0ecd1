package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/image/container"
	"github.com/rootless-containers/subuidless/internal/image/store"
)

// information is what info prints, by docker's names.
type information struct {
	Containers        int
	ContainersRunning int
	ContainersPaused  int
	ContainersStopped int
	Images            int
	Driver            container.Driver
	DockerRootDir     string
	KernelVersion     string
	OperatingSystem   string
	OSType            string
	Architecture      string
	NCPU              int
	MemTotal          uint64 // bytes
	Name              string // of the machine
	ServerVersion     string
}

func newInfoCommand() *cobra.Command {
	var where cli.StoreFlags
	var format string
	cmd := &cobra.Command{
		Use: "info [flags]",
		Long: `Show the store, how many containers and images it has, and this machine. The names of
--format are docker's. subuidless doctor says what the machine lacks.`,
		Example: `  subuidless info --format '{{.Driver}} in {{.DockerRootDir}}'`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := openStore(where)
			if err != nil {
				return err
			}
			i, err := inform(s)
			switch {
			case err != nil:
				return err
			case format == "json":
				return formatObject(cmd.OutOrStdout(), i, "{{json .}}")
			case format != "":
				return formatObject(cmd.OutOrStdout(), i, format)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 1, ' ', 0)
			for _, line := range [][2]any{
				{"Containers", i.Containers}, {" Running", i.ContainersRunning}, {" Paused", i.ContainersPaused}, {" Stopped", i.ContainersStopped},
				{"Images", i.Images}, {"Server Version", i.ServerVersion}, {"Storage Driver", i.Driver},
				{"Kernel Version", i.KernelVersion}, {"Operating System", i.OperatingSystem}, {"OSType", i.OSType}, {"Architecture", i.Architecture},
				{"CPUs", i.NCPU}, {"Total Memory", units.BytesSize(float64(i.MemTotal))}, {"Name", i.Name}, {"Docker Root Dir", i.DockerRootDir},
			} {
				fmt.Fprintf(w, "%s:\t%v\n", line[0], line[1])
			}
			return w.Flush()
		},
	}
	cmd.Flags().StringVarP(&format, "format", "f", "", "print json, or use a Go `template`: {{.FIELD}}")
	where.Add(cmd)
	return cmd
}

// versions is what version prints, by docker's and podman's names.
type versions struct {
	Version        string
	Client, Server struct{ Version string }
}

func newVersionCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "version [flags]",
		Long: `Print the version, as subuidless --version does. The fields of --format are Version,
Client.Version and Server.Version, which are the same: there is no daemon.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := versions{Version: cli.Version()}
			v.Client.Version, v.Server.Version = v.Version, v.Version
			switch format {
			case "":
				_, err := fmt.Fprintln(cmd.OutOrStdout(), "subuidless version", cli.BuildVersion())
				return err
			case "json":
				format = "{{json .}}"
			}
			return formatObject(cmd.OutOrStdout(), v, format)
		},
	}
	cmd.Flags().StringVarP(&format, "format", "f", "", "print json, or use a Go `template`: {{.FIELD}}")
	return cmd
}

// inform returns what is known about the store and the machine.
func inform(s *store.Store) (*information, error) {
	i := &information{DockerRootDir: s.Dir, OSType: runtime.GOOS, NCPU: runtime.NumCPU(), ServerVersion: cli.Version()}
	containers, damaged, err := s.Containers()
	if err != nil {
		return nil, err
	}
	printDamaged(damaged)
	i.Containers = len(containers)
	for _, c := range containers {
		switch container.State(c) {
		case container.StateRunning:
			i.ContainersRunning++
		case container.StatePaused:
			i.ContainersPaused++
		default:
			i.ContainersStopped++
		}
	}
	images, broken, err := s.Images()
	if err != nil {
		return nil, err
	}
	printDamaged(broken)
	ids := map[string]bool{}
	for _, image := range images {
		ids[image.ID().Hex] = true
	}
	i.Images = len(ids)
	use, err := s.Use()
	if err != nil {
		return nil, err
	}
	defer use.Unlock()
	if i.Driver, err = container.BestDriver(s, use); err != nil {
		return nil, err
	}
	return i, i.ofMachine()
}

// ofMachine sets what is known about the machine.
func (i *information) ofMachine() error {
	var u unix.Utsname
	var m unix.Sysinfo_t
	if err := errors.Join(unix.Uname(&u), unix.Sysinfo(&m)); err != nil {
		return fmt.Errorf("this machine: %w", err)
	}
	i.KernelVersion, i.Architecture, i.Name = unix.ByteSliceToString(u.Release[:]), unix.ByteSliceToString(u.Machine[:]), unix.ByteSliceToString(u.Nodename[:])
	i.MemTotal = uint64(m.Totalram) * uint64(m.Unit)
	text, err := os.ReadFile("/etc/os-release")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for line := range strings.Lines(string(text)) {
		if name, found := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME="); found {
			i.OperatingSystem = strings.Trim(name, `"'`)
		}
	}
	return nil
}
