package container

import (
	"cmp"
	"path/filepath"
	"strings"
	"time"

	"github.com/rootless-containers/subuidless/internal/image/storedir"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/rootless-containers/subuidless/internal/image/store"
	"github.com/rootless-containers/subuidless/internal/launch"
)

// Inspected is a container as docker inspect prints it.
type Inspected struct {
	Id      string //nolint:revive // docker's name
	Created time.Time
	Path    string
	Args    []string
	State   InspectedState
	Image   string // the id
	Name    string
	LogPath string
	Driver  Driver
	Mounts  []InspectedMount
	Config  InspectedConfig

	RestartCount    int // always 0: nothing starts a container again
	GraphDriver     InspectedDriver
	HostConfig      InspectedHost
	NetworkSettings InspectedNetwork
	ImageName       string // as podman names it

	SizeRw     *int64 `json:",omitempty"` // see Sizes; nil: not wanted
	SizeRootFs *int64 `json:",omitempty"`
}

// InspectedDriver is the driver with its directories.
type InspectedDriver struct {
	Name Driver
	Data map[string]string // by the names of overlayfs's options
}

// InspectedNetwork is the network of a container, which has no address of its own.
type InspectedNetwork struct {
	IPAddress string // always empty
	Networks  map[string]struct{ IPAddress string }
	Ports     InspectedPorts
}

// InspectedState is the state of a container.
type InspectedState struct {
	Status     string
	Running    bool
	Paused     bool
	Restarting bool
	OOMKilled  bool
	Dead       bool
	Pid        int // of its first process
	MonitorPid int // of the process that runs it
	ExitCode   int
	Error      string
	StartedAt  time.Time
	FinishedAt time.Time
	CgroupPath string           `json:",omitempty"` // as podman names it
	Health     *storedir.Health `json:",omitempty"`
}

// InspectedMount is a volume of a container.
type InspectedMount struct {
	Type        string // bind, volume or tmpfs
	Name        string `json:",omitempty"`
	Source      string
	Destination string
	RW          bool
}

// InspectedConfig is the configuration of a container.
type InspectedConfig struct {
	Hostname     string
	User         string
	ExposedPorts map[string]struct{} `json:",omitempty"`
	Tty          bool
	OpenStdin    bool
	Env          []string
	Cmd          []string
	Image        string
	WorkingDir   string
	Entrypoint   []string
	Labels       map[string]string
	StopSignal   string `json:",omitempty"`
	StopTimeout  int    `json:",omitempty"`
	Umask        string // as podman shows it
	Timeout      int    `json:",omitempty"` // seconds, as podman shows it

	Annotations map[string]string `json:",omitempty"` // as podman shows them
	Healthcheck *v1.HealthConfig  `json:",omitempty"`
}

// directories returns where the files of a container are.
func directories(c *store.Container) map[string]string {
	if len(c.Layers) == 0 {
		return map[string]string{"RootDir": filepath.Join(c.Dir, "rootfs")}
	}
	var lower []string
	for _, id := range c.Layers {
		lower = append(lower, filepath.Join(storedir.LayersDir(storedir.StoreOf(c.Dir)), id))
	}
	return map[string]string{"LowerDir": strings.Join(lower, ":"), "UpperDir": filepath.Join(c.Dir, "upper"), "WorkDir": filepath.Join(c.Dir, "work")}
}

// Inspect returns what is known about a container.
func Inspect(c *store.Container) *Inspected {
	s := &c.Settings
	i := &Inspected{
		Id: c.ID, Created: c.Created, Path: c.Command[0], Args: c.Command[1:], Image: c.ImageID, ImageName: c.Image, Name: c.Name,
		Driver: DriverOverlay, Mounts: []InspectedMount{},
		State: InspectedState{
			Status: State(c), Running: State(c) == StateRunning || State(c) == StatePaused, Paused: State(c) == StatePaused, Pid: c.State.Init, ExitCode: c.State.ExitCode, Error: c.State.Error,
			StartedAt: c.State.Started, FinishedAt: c.State.Finished, OOMKilled: c.State.OOMKilled, CgroupPath: c.State.Cgroup, Health: c.State.Health,
		},
		Config: InspectedConfig{
			Hostname: s.Hostname, User: s.User, ExposedPorts: s.Exposed, Tty: s.Terminal, OpenStdin: s.OpenStdin, Env: s.Env, Cmd: s.Cmd,
			Image: c.Image, WorkingDir: s.Workdir, Entrypoint: s.Entrypoint, Labels: c.Labels, StopSignal: c.StopSignal, StopTimeout: s.StopTimeout, Umask: cmp.Or(s.Umask, launch.DefaultUmask), Timeout: int(s.Timeout.Seconds()), Annotations: s.Annotations, Healthcheck: imageHealth(s.Health),
		},
	}
	if i.State.Running {
		i.State.MonitorPid = c.State.Pid
	} else {
		i.State.Pid = 0
	}
	if len(c.Layers) == 0 {
		i.Driver = DriverCopy
	}
	i.GraphDriver = InspectedDriver{Name: i.Driver, Data: directories(c)}
	i.NetworkSettings.Networks = map[string]struct{ IPAddress string }{s.Net: {}}
	i.HostConfig = inspectHost(s, c.AutoRemove)
	i.NetworkSettings.Ports = i.HostConfig.PortBindings
	if !s.NoLog {
		i.LogPath = filepath.Join(c.Dir, "log")
	}
	for _, m := range s.Mounts {
		kind := "bind"
		switch {
		case m.Volume != "":
			kind = "volume"
		case m.Tmpfs != nil:
			kind = "tmpfs"
		}
		i.Mounts = append(i.Mounts, InspectedMount{kind, m.Volume, m.Source, m.Destination, !m.ReadOnly})
	}
	return i
}
