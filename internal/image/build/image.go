package build

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/rootless-containers/subuidless/internal/image/build/files"
	"github.com/rootless-containers/subuidless/internal/image/layer"
	"github.com/rootless-containers/subuidless/internal/image/store"
)

// layerType is the media type of the layers that a build makes.
const layerType = types.OCILayer

// exportAll makes the image of a state, or an index with those of several, one for each platform.
func (b *builder) exportAll(ctx context.Context, states []*state) (*store.Image, error) {
	if len(states) == 1 {
		return b.export(ctx, states[0])
	}
	index := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Annotations: b.OfIndex}
	for i, s := range states {
		one, err := b.export(ctx, s)
		if err != nil {
			return nil, err
		}
		d := one.Descriptor
		if d.Platform, err = v1.ParsePlatform(b.targets[i].platform); err != nil {
			return nil, err
		}
		index.Manifests = append(index.Manifests, d)
	}
	d, err := b.store.PutIndex(&index)
	if err != nil {
		return nil, err
	}
	return b.store.LoadIndex(d, b.name())
}

// name returns one of the names of the image, or an empty one.
func (b *builder) name() string {
	if len(b.Names) == 0 {
		return ""
	}
	return b.Names[len(b.Names)-1]
}

// export makes the image of a state.
func (b *builder) export(ctx context.Context, s *state) (*store.Image, error) {
	if b.Squash {
		var err error
		if s, err = b.squash(ctx, s); err != nil {
			return nil, err
		}
	}
	config := s.base.Image
	config.Created = b.time(s.created)
	config.RootFS = ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{}}
	for _, d := range s.diffIDs {
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, digest.Digest(d.String()))
	}
	config.History = s.history
	if len(b.Labels) > 0 && config.Config.Labels == nil {
		config.Config.Labels = map[string]string{}
	}
	for k, v := range b.Labels {
		config.Config.Labels[k] = v
	}
	raw, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	if raw, err = b.withInlineCache(raw, s.layers); err != nil {
		return nil, err
	}
	m := v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1,
		Config: v1.Descriptor{MediaType: types.OCIConfigJSON, Size: int64(len(raw))},
		Layers: []v1.Descriptor{}, Annotations: b.Annotations,
	}
	if m.Config.Digest, err = b.store.PutBlob(raw); err != nil {
		return nil, err
	}
	for _, l := range s.layers {
		// The manifest of the base may be one of docker.
		m.Layers = append(m.Layers, v1.Descriptor{MediaType: ociLayer(l.MediaType), Size: l.Size, Digest: l.Digest})
	}
	manifest, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	d := v1.Descriptor{MediaType: types.OCIManifestSchema1, Size: int64(len(manifest))}
	if d.Digest, err = b.store.PutBlob(manifest); err != nil {
		return nil, err
	}
	if d.Platform, err = platformOf(raw); err != nil {
		return nil, err
	}
	i := &store.Image{Name: b.name(), Digest: d.Digest, Entry: d, Descriptor: d, Manifest: m}
	if err := json.Unmarshal(raw, &i.Config); err != nil {
		return nil, err
	}
	return i, nil
}

// tag gives an image its names. That is the last step: an image that can be seen is complete, and
// has been written wherever the user wants it.
func (b *builder) tag(i *store.Image) error {
	names := b.Names
	// An image without a name need not be in the store if an output is all that the user wants.
	if len(names) == 0 && b.Manifest == "" && !slices.ContainsFunc(b.Outputs, Output.complete) {
		names = []string{""}
	}
	for _, name := range names {
		if err := b.store.Tag(i.Entry, i.Digest, name); err != nil {
			return err
		}
	}
	if b.Manifest == "" {
		return nil
	}
	var all []v1.Descriptor
	for _, one := range i.All() {
		all = append(all, one.Descriptor)
	}
	return b.store.AddPlatforms(b.Manifest, all)
}

func platformOf(config []byte) (*v1.Platform, error) {
	c, err := v1.ParseConfigFile(bytes.NewReader(config))
	if err != nil {
		return nil, err
	}
	return c.Platform(), nil
}

// ociLayer returns the type of OCI for a layer of docker.
func ociLayer(t types.MediaType) types.MediaType {
	switch t {
	case types.DockerLayer:
		return types.OCILayer
	case types.DockerUncompressedLayer:
		return types.OCIUncompressedLayer
	case types.DockerForeignLayer:
		return types.OCIRestrictedLayer
	}
	return t
}

// squash makes one layer of those on top of the base image.
func (b *builder) squash(ctx context.Context, s *state) (_ *state, err error) {
	if len(s.layers)-s.based.layers < 2 {
		return s, nil
	}
	shown := b.Progress.Start("[internal] squash layers")
	defer func() { shown.Done(err) }()
	if err := b.unpack(ctx, s); err != nil {
		return nil, err
	}
	p, stop, err := b.startFiles(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	dir, err := os.MkdirTemp(b.tmp, "squash-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, layer.RemoveAll(dir)) }()
	archive, unpacked := filepath.Join(dir, "archive"), filepath.Join(dir, "layer")
	if err := os.Mkdir(unpacked, 0o755); err != nil {
		return nil, err
	}
	base := *s
	base.layers, base.diffIDs = s.layers[:s.based.layers], s.diffIDs[:s.based.layers]
	all := b.paths(s)
	top := len(all) - s.based.layers
	made, err := p.Change(&files.Change{Changed: layer.Changed{Layers: all[:top], Lower: all[top:]}, Latest: b.epoch}, archive, unpacked)
	if err != nil {
		return nil, err
	}
	c, err := b.newLayer(&base, made, archive, unpacked)
	if err != nil {
		return nil, err
	}
	next := base.with(c)
	// The steps stay in the history, without layers of their own.
	next.history = nil
	for i, h := range s.history {
		h.EmptyLayer = h.EmptyLayer || i >= s.based.history
		next.history = append(next.history, h)
	}
	next.history = append(next.history, ocispec.History{
		Created: b.time(s.created), CreatedBy: fmt.Sprintf("squash %d layers", top), Comment: historyComment, EmptyLayer: c.Empty,
	})
	return next, nil
}
