// Package container runs containers of images.
package container

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/rootless-containers/subuidless/internal/image/layer"
	"github.com/rootless-containers/subuidless/internal/image/overlay"
	"github.com/rootless-containers/subuidless/internal/image/prepared"
	"github.com/rootless-containers/subuidless/internal/image/reference"
	"github.com/rootless-containers/subuidless/internal/image/store"
	"github.com/rootless-containers/subuidless/internal/image/transfer"
	"github.com/rootless-containers/subuidless/internal/image/unpack"
	"github.com/rootless-containers/subuidless/internal/launch"
	"github.com/rootless-containers/subuidless/internal/supervisor"
)

// The values of RunOptions.Pull, as docker names them.
const (
	PullMissing = "missing"
	PullAlways  = "always"
	PullNever   = "never"
)

// RunOptions are the options of Create.
type RunOptions struct {
	Image      string   // as the user has named it
	Args       []string // what follows the image: it replaces Cmd
	Entrypoint *string  // if not nil, it replaces Entrypoint and Cmd; empty: none
	Name       string   // of the container
	Labels     []string // K=V
	Remove     bool     // remove the container when it ends
	Pull       string   // PullMissing, PullAlways or PullNever
	Driver     Driver   // how the root file system is made; empty: the best one

	Transfer transfer.Options
	Launch   launch.RunOptions // what the user has set; Rootfs, Args, Layers and Dirs are not used
}

// Create makes a container of an image, which it pulls if needed. The caller runs it.
func Create(ctx context.Context, s *store.Store, registries *reference.Registries, o RunOptions) (*prepared.Container, error) {
	// Afterwards, the container keeps its layers.
	use, err := s.Use()
	if err != nil {
		return nil, err
	}
	defer use.Unlock()
	image, err := findOrPull(ctx, s, registries, o)
	if err != nil {
		return nil, err
	}
	if err := transfer.Unpack(ctx, s, use, image, o.Transfer); err != nil {
		return nil, err
	}
	saved, lock, err := create(s, image, &o)
	if err != nil {
		return nil, err
	}
	l, err := options(image, saved, o)
	if err == nil {
		err = prepareRoot(s, use, saved, o.Driver, l)
	}
	if err != nil {
		lock.Unlock()
		return nil, errors.Join(err, s.RemoveContainer(saved))
	}
	return &prepared.Container{Launch: *l, Dir: saved.Dir, Remove: o.Remove, Lock: lock.File}, nil
}

// findOrPull returns the image of the store, or pulls it.
func findOrPull(ctx context.Context, s *store.Store, registries *reference.Registries, o RunOptions) (*store.Image, error) {
	if o.Pull != PullAlways {
		image, err := s.Find(o.Image, registries.Aliases)
		if err == nil && !Fits(image, o.Transfer.Platform) {
			err = fmt.Errorf("image %s in the store is for %s: %w", o.Image, image.Config.Platform(), store.ErrNotFound)
		}
		if err == nil || o.Pull == PullNever || !errors.Is(err, store.ErrNotFound) {
			return image, err
		}
	}
	ref, err := reference.Parse(o.Image, registries.Aliases)
	if err != nil {
		return nil, err
	}
	defer o.Transfer.Progress.Wait()
	return transfer.Pull(ctx, s, ref, nil, o.Transfer)
}

// Fits reports whether the image is for the platform OS/ARCH[/VARIANT]; empty means any.
func Fits(image *store.Image, platform string) bool {
	p, err := v1.ParsePlatform(platform)
	if platform == "" || err != nil {
		return true
	}
	return p.OS == image.Config.OS && p.Architecture == image.Config.Architecture &&
		(p.Variant == "" || image.Config.Variant == "" || p.Variant == image.Config.Variant)
}

// create adds the container to the store.
func create(s *store.Store, image *store.Image, o *RunOptions) (*store.Container, store.Lock, error) {
	labels := map[string]string{}
	for k, v := range image.Config.Config.Labels {
		labels[k] = v
	}
	for _, l := range o.Labels {
		k, v, _ := strings.Cut(l, "=")
		labels[k] = v
	}
	c := &store.Container{
		Name: o.Name, Image: o.Image, ImageID: image.ID(), Layers: image.Layers(),
		Command: command(&image.Config.Config, o), Labels: labels,
		StopSignal: image.Config.Config.StopSignal, AutoRemove: o.Remove,
	}
	lock, err := s.NewContainer(c)
	return c, lock, err
}

// command returns the command of the container, as docker composes it of Entrypoint and Cmd.
func command(c *v1.Config, o *RunOptions) []string {
	entrypoint, cmd := c.Entrypoint, c.Cmd
	if o.Entrypoint != nil {
		entrypoint, cmd = nil, nil
		if *o.Entrypoint != "" {
			entrypoint = []string{*o.Entrypoint}
		}
	}
	if len(o.Args) > 0 {
		cmd = o.Args
	}
	return slices.Concat(entrypoint, cmd)
}

// options returns the options for launch: those of the image, and those of the user, which
// take precedence.
func options(image *store.Image, c *store.Container, o RunOptions) (*launch.RunOptions, error) {
	config := &image.Config.Config
	l := o.Launch
	l.Rootfs, l.Args = filepath.Join(c.Dir, "rootfs"), c.Command
	if len(l.Args) == 0 {
		return nil, fmt.Errorf("image %s has no command of its own, and none is given", o.Image)
	}
	if l.User == "" {
		l.User = config.User
	}
	if l.Workdir == "" {
		l.Workdir = path.Join("/", config.WorkingDir)
	}
	l.Env = append(slices.DeleteFunc(slices.Clone(config.Env), func(kv string) bool { return !strings.Contains(kv, "=") }), l.Env...)
	if l.Hostname == "" && l.Net == launch.NetNone {
		l.Hostname = c.ID[:12]
	}
	l.Dirs = append(l.Dirs, l.Workdir)
	for volume := range config.Volumes {
		l.Dirs = append(l.Dirs, path.Join("/", volume))
	}
	slices.Sort(l.Dirs)
	return &l, nil
}

// prepareRoot makes the root file system of c, with the driver or the best one.
func prepareRoot(s *store.Store, use store.Lock, c *store.Container, driver Driver, l *launch.RunOptions) error {
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
		return copyLayers(s, use, c, lower, l)
	}
	upper, err := filepath.Rel(s.LayersDir(), c.Dir)
	if err != nil {
		return err
	}
	l.Layers = &launch.Layers{
		Mount: overlay.Mount{Dir: s.LayersDir(), Lower: c.Layers, Upper: filepath.Join(upper, "upper"), Work: filepath.Join(upper, "work")},
		Name:  c.Image,
	}
	return CopyRootAttributes(lower[0], filepath.Join(c.Dir, "upper"))
}

// copyLayers copies the layers to the root file system of c.
func copyLayers(s *store.Store, use store.Lock, c *store.Container, lower []string, l *launch.RunOptions) error {
	if len(lower) > 0 {
		p, err := unpack.Start(s, use, supervisor.Active())
		if err != nil {
			return err
		}
		err = p.Merge(lower, l.Rootfs)
		if err := errors.Join(err, p.Close()); err != nil {
			return err
		}
	}
	c.Layers = nil
	return c.Save()
}
