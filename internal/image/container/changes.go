package container

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/rootless-containers/subuidless/internal/image/build/files"
	"github.com/rootless-containers/subuidless/internal/image/containerfiles"
	"github.com/rootless-containers/subuidless/internal/image/layer"
	"github.com/rootless-containers/subuidless/internal/image/store"
	"github.com/rootless-containers/subuidless/internal/image/storedir"
	"github.com/rootless-containers/subuidless/internal/isolation"
)

// mountPoints are what is created in the root file system of each container, if it is not there,
// to mount something on it. With isolation.Chroot, files are created there instead.
var mountPoints = []string{"/dev", "/proc", "/sys", "/etc/hosts", "/etc/resolv.conf"}

// changedOf returns what the container has changed.
func changedOf(s *store.Store, c *store.Container) layer.Changed {
	changed := layer.Changed{Upper: filepath.Join(c.Dir, "upper"), Skip: slices.Clone(mountPoints)}
	for _, id := range c.Base {
		changed.Lower = append(changed.Lower, s.LayerPath(id))
	}
	for _, m := range c.Settings.Mounts {
		changed.Skip = append(changed.Skip, m.Destination)
	}
	if len(c.Layers) == 0 {
		changed.Upper, changed.Copy = "", filepath.Join(c.Dir, "rootfs")
	}
	return changed
}

// Changes calls f with each file that the container has changed.
func Changes(s *store.Store, c *store.Container, f func(layer.Change) error) error {
	return containerfiles.Changes(changedOf(s, c), isolation.Current().NativeOwners(), f)
}

// Export writes all files of the container, without volumes, to w as a tar archive.
func Export(c *store.Container, w io.Writer, warn func(string)) error {
	var made []string
	if isolation.Current() == isolation.Chroot {
		made = mountPoints
	}
	return withRoot(c, false, func(root containerfiles.Root) error { return containerfiles.Export(root, made, w, warn) })
}

// withRoot calls f with the root file system of the container, which does not start or end
// meanwhile unless it runs. Change says whether f changes files.
func withRoot(c *store.Container, change bool, f func(containerfiles.Root) error) error {
	lock, err := c.Share()
	switch {
	case err == nil:
		defer lock.Unlock()
		c.Running = false
		if change {
			alone, err := c.LockFiles()
			if err != nil {
				return err
			}
			defer alone.Unlock()
		}
	case errors.Is(err, storedir.ErrRunning):
		if err := c.LoadState(); err != nil {
			return err
		}
		if err := c.CheckProcesses(); err != nil {
			return err
		}
		if c.State.Init == 0 {
			return fmt.Errorf("container %s is just starting or ending: try again", c.Name)
		}
	default:
		return err
	}
	root, err := rootOf(c)
	if err != nil {
		return err
	}
	if root.Overlay != nil && !change {
		// Without an upper directory, which belongs to one mount only.
		m := root.Overlay
		m.Lower, m.Upper, m.Work = append([]string{m.Upper}, m.Lower...), "", ""
	}
	return f(root)
}

// CommitOptions are the options of Commit.
type CommitOptions struct {
	Name    string // complete name of the image; empty: none
	Author  string
	Message string
	Changes []string // instructions of a Dockerfile
	Docker  bool     // docker's media types instead of OCI's
	Created time.Time
	Warn    func(string)
}

// Commit makes an image of the container: that of the container with one more layer, and with the
// command, user and so on of the container. It returns the id. The caller holds the lock use.
func Commit(ctx context.Context, s *store.Store, use store.Lock, base *store.Image, c *store.Container, o CommitOptions) (v1.Hash, error) {
	config := base.Config.DeepCopy()
	if err := applySettings(config, c, o.Changes); err != nil {
		return v1.Hash{}, err
	}
	l, err := addLayer(ctx, s, use, changedOf(s, c), o)
	if err != nil {
		return v1.Hash{}, err
	}
	config.Created, config.Author = v1.Time{Time: o.Created}, o.Author
	config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, l.DiffID)
	config.History = append(config.History, v1.History{
		Created: v1.Time{Time: o.Created}, CreatedBy: strings.Join(c.Command, " "), Author: o.Author, Comment: o.Message,
	})
	return addImage(s, config, append(slices.Clone(base.Manifest.Layers), l.Descriptor), o)
}

// applySettings changes the configuration to what the container and the instructions say.
func applySettings(config *v1.ConfigFile, c *store.Container, changes []string) error {
	s := &c.Settings
	config.Container = ""
	r := &config.Config
	r.Env, r.User, r.WorkingDir, r.Entrypoint, r.Cmd = s.Env, s.User, s.Workdir, s.Entrypoint, s.Cmd
	r.StopSignal, r.Healthcheck, r.ExposedPorts, r.Labels = c.StopSignal, imageHealth(s.Health), maps.Clone(s.Exposed), maps.Clone(c.Labels)
	r.Volumes = maps.Clone(r.Volumes)
	for _, text := range changes {
		if err := change(r, text); err != nil {
			return fmt.Errorf("--change %q: %w", text, err)
		}
	}
	return nil
}

// addedLayer is a layer that has been added to the store.
type addedLayer struct {
	Descriptor v1.Descriptor
	DiffID     v1.Hash
}

// addLayer adds a layer with the changes to the store, without unpacking it.
func addLayer(ctx context.Context, s *store.Store, use store.Lock, changed layer.Changed, o CommitOptions) (_ *addedLayer, err error) {
	dir, err := os.MkdirTemp(s.TempDir(), "commit-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	p, err := files.Start(s, use, isolation.Current().NativeOwners())
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, p.Cancel)
	defer stop()
	p.Warn = o.Warn
	archive := filepath.Join(dir, "archive")
	made, err := p.Change(&files.Change{Changed: changed}, archive, "")
	if err := errors.Join(err, p.Close()); err != nil {
		return nil, err
	}
	l := new(addedLayer)
	if l.DiffID, err = v1.NewHash(made.DiffID); err != nil {
		return nil, err
	}
	l.Descriptor = v1.Descriptor{MediaType: types.OCILayer, Size: made.Size}
	if o.Docker {
		l.Descriptor.MediaType = types.DockerLayer
	}
	if l.Descriptor.Digest, err = v1.NewHash(made.Digest); err != nil {
		return nil, err
	}
	return l, s.AdoptBlob(archive, l.Descriptor.Digest)
}

// addImage adds an image of layers that the store has.
func addImage(s *store.Store, config *v1.ConfigFile, layers []v1.Descriptor, o CommitOptions) (v1.Hash, error) {
	m := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Layers: layers}
	m.Config.MediaType = types.OCIConfigJSON
	if o.Docker {
		m.MediaType, m.Config.MediaType = types.DockerManifestSchema2, types.DockerConfigJSON
	}
	for i := range m.Layers {
		m.Layers[i].MediaType = convertLayer(m.Layers[i].MediaType, o.Docker)
	}
	b, err := json.Marshal(config)
	if err != nil {
		return v1.Hash{}, err
	}
	if m.Config.Digest, err = s.PutBlob(b); err != nil {
		return v1.Hash{}, err
	}
	m.Config.Size = int64(len(b))
	if b, err = json.Marshal(m); err != nil {
		return v1.Hash{}, err
	}
	digest, err := s.PutBlob(b)
	if err != nil {
		return v1.Hash{}, err
	}
	d := v1.Descriptor{MediaType: m.MediaType, Size: int64(len(b)), Digest: digest}
	return m.Config.Digest, s.Tag(d, digest, o.Name)
}

// convertLayer returns the media type of a layer in an image of docker's or OCI's types.
func convertLayer(t types.MediaType, docker bool) types.MediaType {
	switch {
	case docker && t == types.OCILayer:
		return types.DockerLayer
	case docker && t == types.OCIUncompressedLayer:
		return types.DockerUncompressedLayer
	case !docker && t == types.DockerLayer:
		return types.OCILayer
	case !docker && t == types.DockerUncompressedLayer:
		return types.OCIUncompressedLayer
	}
	return t
}
