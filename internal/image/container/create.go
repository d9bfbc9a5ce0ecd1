// Package container creates containers of images, and makes images, layers and archives of what
// they have changed. Package running runs them.
package container

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/rootless-containers/subuidless/internal/image/layer"
	"github.com/rootless-containers/subuidless/internal/image/running"
	"github.com/rootless-containers/subuidless/internal/image/store"
	"github.com/rootless-containers/subuidless/internal/image/storedir"
	"github.com/rootless-containers/subuidless/internal/image/unpack"
	"github.com/rootless-containers/subuidless/internal/isolation"
	"github.com/rootless-containers/subuidless/internal/launch"
)

// CreateOptions are the options of Create: what the user has set.
type CreateOptions struct {
	Image      string   // as the user has named it
	Args       []string // what follows the image: it replaces Cmd
	Entrypoint *string  // if not nil, it replaces Entrypoint and Cmd; empty: none
	Name       string   // of the container
	Labels     []string // K=V
	Notes      []string // annotations, K=V

	VolumesFrom []string // CONTAINER[:ro|rw]: other containers whose mounts this one gets, too

	Remove     bool   // remove the container when it ends
	Driver     Driver // how the root file system is made; empty: the best one
	Terminal   bool   // a terminal in the background, too
	OpenStdin  bool   // in the background, standard input stays open
	NoLog      bool   // do not keep the output of a container in the background
	LogSize    int64  // bytes, at which the log is rotated; 0: never
	LogFiles   int    // how many files a log has that is rotated
	StopSignal string // empty: that of the image
	StopTime   int    // seconds; 0: the default
	Health     Health

	// Launch is what the user has set of it; Rootfs, Args, Layers and Dirs are not used.
	// Volumes may also be NAME:DST[:ro], with the name of a volume, or just DST.
	Launch launch.RunOptions
}

// Health is what the user has set of the image's health check.
type Health struct {
	Off         bool   // no check
	Command     string // for a shell; empty: that of the image
	Interval    time.Duration
	Timeout     time.Duration
	StartPeriod time.Duration
	// StartInterval is between two checks in the start period.
	StartInterval time.Duration
	Retries       int
}

// docker's defaults for health checks.
const (
	healthInterval = 30 * time.Second
	healthTimeout  = 30 * time.Second
	healthRetries  = 3
)

// over returns the health check of the image, with what the user has set instead, except for StartInterval.
func (h *Health) over(image *v1.HealthConfig) *storedir.HealthCheck {
	c := new(storedir.HealthCheck)
	if image != nil {
		*c = storedir.HealthCheck{Test: image.Test, Interval: image.Interval, Timeout: image.Timeout, StartPeriod: image.StartPeriod, Retries: image.Retries}
	}
	if h.Command != "" {
		c.Test = []string{"CMD-SHELL", h.Command}
	}
	if h.Off || len(c.Test) == 0 || c.Test[0] == "NONE" {
		return nil
	}
	c.Interval = cmp.Or(h.Interval, c.Interval, healthInterval)
	c.Timeout = cmp.Or(h.Timeout, c.Timeout, healthTimeout)
	c.StartPeriod = cmp.Or(h.StartPeriod, c.StartPeriod)
	c.Retries = cmp.Or(h.Retries, c.Retries, healthRetries)
	return c
}

// healthOf returns the health check of a container; nil: it has none.
func healthOf(s *store.Store, image *store.Image, h *Health) (*storedir.HealthCheck, error) {
	check := h.over(image.Config.Config.Healthcheck)
	if check == nil {
		return nil, nil
	}
	if check.StartInterval = h.StartInterval; check.StartInterval > 0 {
		return check, nil
	}
	var c struct { // package v1 does not know it
		Config struct {
			Healthcheck struct{ StartInterval time.Duration }
		} `json:"config"`
	}
	err := storedir.ReadJSON(s.BlobPath(image.ID()), &c)
	check.StartInterval = c.Config.Healthcheck.StartInterval
	return check, err
}

// imageHealth returns a health check as images have it.
func imageHealth(h *storedir.HealthCheck) *v1.HealthConfig {
	if h == nil {
		return nil
	}
	return &v1.HealthConfig{Test: h.Test, Interval: h.Interval, Timeout: h.Timeout, StartPeriod: h.StartPeriod, Retries: h.Retries}
}

// Create makes a container of an image, whose layers are unpacked. The caller holds the lock use,
// and unlocks the Lock when the container does not run: see package running.
func Create(ctx context.Context, s *store.Store, use store.Lock, image *store.Image, o CreateOptions) (*store.Container, store.Lock, error) {
	settings, err := settingsOf(s, image, &o)
	if err != nil {
		return nil, store.Lock{}, err
	}
	c, lock, err := add(s, image, &o, settings)
	if err != nil {
		return nil, store.Lock{}, err
	}
	if err = prepareRoot(ctx, s, use, c, o.Driver); err == nil {
		err = fillVolumes(s, c)
	}
	if err != nil {
		lock.Unlock()
		return nil, store.Lock{}, errors.Join(err, s.RemoveContainer(c))
	}
	return c, lock, nil
}

// add adds the container to the store.
func add(s *store.Store, image *store.Image, o *CreateOptions, settings *storedir.Settings) (*store.Container, store.Lock, error) {
	labels := map[string]string{}
	maps.Copy(labels, image.Config.Config.Labels)
	maps.Copy(labels, keyValues(o.Labels))
	signal := cmp.Or(o.StopSignal, image.Config.Config.StopSignal)
	if signal != "" {
		if _, err := running.ParseSignal(signal); err != nil && o.StopSignal != "" {
			return nil, store.Lock{}, fmt.Errorf("--stop-signal: %w", err)
		}
	}
	c := &store.Container{
		Name: o.Name, Image: o.Image, ImageID: image.ID().String(), Layers: image.Layers(), Base: image.Layers(),
		Command: slices.Concat(settings.Entrypoint, settings.Cmd), Labels: labels,
		StopSignal: signal, AutoRemove: o.Remove, Settings: *settings,
	}
	lock, err := s.NewContainer(c)
	return c, lock, err
}

// keyValues returns the map that texts K=V describe.
func keyValues(texts []string) map[string]string {
	m := map[string]string{}
	for _, text := range texts {
		k, v, _ := strings.Cut(text, "=")
		m[k] = v
	}
	return m
}

// command returns Entrypoint and Cmd of the container, as docker composes them.
func command(c *v1.Config, o *CreateOptions) (entrypoint, cmd []string) {
	entrypoint, cmd = c.Entrypoint, c.Cmd
	if o.Entrypoint != nil {
		entrypoint, cmd = nil, nil
		if *o.Entrypoint != "" {
			entrypoint = []string{*o.Entrypoint}
		}
	}
	if len(o.Args) > 0 {
		cmd = o.Args
	}
	return entrypoint, cmd
}

// settingsOf returns the settings of the image and those of the user, which take precedence.
func settingsOf(s *store.Store, image *store.Image, o *CreateOptions) (*storedir.Settings, error) {
	config := &image.Config.Config
	health, err := healthOf(s, image, &o.Health)
	if err != nil {
		return nil, err
	}
	l := &o.Launch
	r := &storedir.Settings{
		User: cmp.Or(l.User, config.User), Workdir: cmp.Or(l.Workdir, path.Join("/", config.WorkingDir)),
		Hostname: l.Hostname, Hosts: l.Hosts, Resolver: l.Resolver, Groups: l.Groups, Limits: l.Limits, Resources: l.Resources, Net: l.Net, ReadOnly: l.ReadOnly,
		Sysctls: l.Sysctls, Umask: l.Umask, ShmSize: l.ShmSize, Timeout: l.Timeout, Annotations: keyValues(o.Notes),
		CapAdd: l.CapAdd, CapDrop: l.CapDrop, Devices: l.Devices, Ports: l.Ports, VolumesFrom: o.VolumesFrom,
		Terminal: o.Terminal, OpenStdin: o.OpenStdin, NoLog: o.NoLog, LogSize: o.LogSize, LogFiles: o.LogFiles, StopTimeout: o.StopTime,
		Health: health, Exposed: config.ExposedPorts,
		Trace: l.Supervisor.Trace, TraceSummary: l.Summary, Sidecar: l.Supervisor.Sidecar, NoPermissions: l.Supervisor.NoPermissions, Accelerate: l.Supervisor.Accelerate,
	}
	if r.Entrypoint, r.Cmd = command(config, o); len(r.Entrypoint)+len(r.Cmd) == 0 {
		return nil, fmt.Errorf("image %s has no command of its own, and none is given", o.Image)
	}
	if err := l.Resources.Check(); err != nil {
		return nil, err
	}
	if isolation.Current() == isolation.Chroot {
		if err := checkChroot(l); err != nil {
			return nil, err
		}
	}
	if err := l.CheckSysctls(); err != nil {
		return nil, err
	}
	if !path.IsAbs(r.Workdir) {
		return nil, fmt.Errorf("working directory %q: must be an absolute path in the container", r.Workdir)
	}
	env, err := running.ResolveEnv(l.Env, os.LookupEnv)
	if err != nil {
		return nil, err
	}
	r.Env = append(slices.DeleteFunc(slices.Clone(config.Env), func(kv string) bool { return !strings.Contains(kv, "=") }), env...)
	var anonymous []string
	if r.Mounts, anonymous, err = parseVolumes(s, l.Volumes); err != nil {
		return nil, err
	}
	others, err := mountsFrom(s, o.VolumesFrom)
	if err != nil {
		return nil, err
	}
	others = slices.DeleteFunc(others, func(m storedir.Mount) bool { // the user's own instead
		return slices.ContainsFunc(r.Mounts, func(own storedir.Mount) bool { return own.Destination == m.Destination })
	})
	r.Mounts = append(others, r.Mounts...)
	for i := range l.Mounts {
		m := &l.Mounts[i]
		mount := storedir.Mount{Source: m.Source, Destination: m.Target, ReadOnly: m.Readonly}
		if m.Tmpfs {
			mount.Tmpfs = &storedir.Tmpfs{Size: m.Size, Mode: m.Mode, NoExec: m.NoExec}
		}
		r.Mounts = append(r.Mounts, mount)
	}
	for volume := range config.Volumes {
		anonymous = append(anonymous, path.Join("/", volume))
	}
	r.Dirs = append(anonymous, r.Workdir)
	slices.Sort(r.Dirs)
	return r, nil
}

// checkChroot returns an error if l wants what a container without namespaces cannot have. Volumes
// that belong to the container are directories in its root file system.
func checkChroot(l *launch.RunOptions) error {
	wanted := *l
	wanted.Volumes = slices.DeleteFunc(slices.Clone(l.Volumes), func(spec string) bool { return !strings.Contains(spec, ":") })
	return launch.RefuseMounts(&wanted)
}

// prepareRoot makes the root file system of c, with the driver or the best one.
func prepareRoot(ctx context.Context, s *store.Store, use store.Lock, c *store.Container, driver Driver) error {
	var lower []string
	for _, id := range c.Layers {
		lower = append(lower, s.LayerPath(id))
	}
	if slices.ContainsFunc(lower, layer.HasOwnMarks) {
		driver = DriverCopy
	}
	if driver == "" {
		var err error
		if driver, err = BestDriver(s, use); err != nil {
			return err
		}
	}
	if driver == DriverCopy || len(lower) == 0 {
		return copyLayers(ctx, s, use, c, lower)
	}
	return CopyRootAttributes(lower[0], filepath.Join(c.Dir, "upper"))
}

// copyLayers copies the layers to the root file system of c.
func copyLayers(ctx context.Context, s *store.Store, use store.Lock, c *store.Container, lower []string) error {
	if len(lower) > 0 {
		if err := unpack.Merge(ctx, s, use, isolation.Current().NativeOwners(), lower, filepath.Join(c.Dir, "rootfs")); err != nil {
			return err
		}
	}
	c.Layers = nil
	return c.Save()
}
