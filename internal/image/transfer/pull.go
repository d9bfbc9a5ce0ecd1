package transfer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/rootless-containers/subuidless/internal/image/reference"
	"github.com/rootless-containers/subuidless/internal/image/store"
	"github.com/rootless-containers/subuidless/internal/image/unpack"
	"github.com/rootless-containers/subuidless/internal/isolation"
)

// Options are the options of Pull, Load and Push.
type Options struct {
	Platform   string                // OS/ARCH[/VARIANT]; empty: that of this machine
	Whole      bool                  // keep an index with all its images, if it has several and they are all there
	All        bool                  // keep an index with all its images; it is an error if one is not there
	Beside     bool                  // keep a name that the image for another platform has: see Store.TagBeside
	Insecure   bool                  // accept all registries without TLS or a valid certificate
	AuthFile   string                // the only file with credentials; empty: those of podman and docker
	Registries *reference.Registries // where registries and their mirrors are
	Progress   Progress
	Warn       func(message string) // not nil
}

// parallel is the number of blobs that are fetched at the same time.
const parallel = 4

// Pull adds the image that ref names to the store, unpacked, and returns it. For an image of
// a registry, that is its name; others get names, or none. It replaces nothing until all is
// complete.
func Pull(ctx context.Context, s *store.Store, ref reference.Reference, names []string, o Options) (*store.Image, error) {
	src, err := openSource(ctx, s, ref, o)
	if err != nil {
		return nil, err
	}
	if c, ok := src.(io.Closer); ok {
		defer c.Close()
	}
	use, err := s.Use()
	if err != nil {
		return nil, err
	}
	defer use.Unlock()
	if d, ok := src.(*dockerArchive); ok {
		if src, err = d.convert(s, ref.Tag); err != nil {
			return nil, fmt.Errorf("%s: %w", ref, err)
		}
	}
	if ref.Transport == reference.Registry {
		names = []string{ref.Name}
	}
	return add(ctx, s, use, src, names, o)
}

func openSource(ctx context.Context, s *store.Store, ref reference.Reference, o Options) (source, error) {
	switch ref.Transport {
	case reference.Registry:
		s, err := newMirroredSource(ref, o)
		if err != nil {
			return nil, err
		}
		return s, nil
	case reference.Layout:
		return &layoutSource{directory(ref.Path), ref.Tag}, nil
	case reference.Directory:
		return &dirSource{directory(ref.Path)}, nil
	}
	a, err := openArchive(ctx, ref.Path, s.TempDir())
	if err != nil {
		return nil, err
	}
	if ref.Transport == reference.LayoutArchive {
		return &layoutSource{a, ref.Tag}, nil
	}
	return &dockerArchive{archive: a}, nil
}

// add adds the image of src to the store, under names.
func add(ctx context.Context, s *store.Store, use store.Lock, src source, names []string, o Options) (*store.Image, error) {
	top, err := src.manifest(ctx, nil)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		names = []string{""}
	}
	if (o.Whole || o.All) && top.mediaType.IsIndex() {
		all, err := readIndex(ctx, src, top)
		if err == nil && (o.All || all.isForSeveral()) {
			var i *store.Image
			if i, err = addIndex(ctx, s, use, src, top, all, names, o); err == nil {
				return i, nil
			}
		}
		if err != nil && (o.All || !errors.Is(err, errNotWhole) && !errors.Is(err, fs.ErrNotExist)) {
			return nil, err
		}
	}
	m, err := choose(ctx, s, src, top, o.Platform)
	if err != nil {
		return nil, err
	}
	config, err := addManifest(ctx, s, use, src, m, true, o)
	if err != nil {
		return nil, err
	}
	if _, err := s.PutBlob(top.raw); err != nil {
		return nil, err
	}
	d := m.descriptor()
	d.Platform = config.Platform()
	tag := s.Tag
	if o.Beside && top != m && names[0] != "" {
		tag = s.TagBeside
	}
	for _, name := range names {
		if err := tag(d, top.digest, name); err != nil {
			return nil, err
		}
	}
	return s.Load(m.digest, names[0])
}

// addManifest adds the image with the manifest m to the store, without a name, and returns its configuration.
// Ready means that it is unpacked, too.
func addManifest(ctx context.Context, s *store.Store, use store.Lock, src source, m *manifest, ready bool, o Options) (*v1.ConfigFile, error) {
	parsed, err := v1.ParseManifest(bytes.NewReader(m.raw))
	if err != nil {
		return nil, fmt.Errorf("manifest %s: %w", m.digest, err)
	}
	for _, l := range parsed.Layers {
		if !isLayer(l.MediaType) {
			return nil, fmt.Errorf("manifest %s: a layer has the media type %s, which is not supported: this is not the image of a container", m.digest, l.MediaType)
		}
	}
	config, err := fetchConfig(ctx, s, src, parsed.Config)
	if err != nil {
		return nil, err
	}
	if len(config.RootFS.DiffIDs) != len(parsed.Layers) {
		return nil, fmt.Errorf("manifest %s: it has %d layers, but its configuration %d", m.digest, len(parsed.Layers), len(config.RootFS.DiffIDs))
	}
	if err := checkOS(config); err != nil {
		return nil, err
	}
	if ready {
		err = fetchAndUnpack(ctx, s, use, src, parsed.Layers, config.RootFS.DiffIDs, o)
	} else {
		err = fetchLayers(ctx, s, src, parsed.Layers, o, waitForAll)
	}
	if err != nil {
		return nil, err
	}
	_, err = s.PutBlob(m.raw)
	return config, err
}

func checkOS(config *v1.ConfigFile) error {
	if config.OS != "" && config.OS != "linux" {
		return fmt.Errorf("the image is for %s; only images for linux are supported", config.OS)
	}
	return nil
}

// dockerZstdLayer is the type that buildah gives to layers in manifests of docker.
const dockerZstdLayer types.MediaType = "application/vnd.docker.image.rootfs.diff.tar.zstd"

// isLayer reports whether a layer of this type can be unpacked.
func isLayer(t types.MediaType) bool {
	switch t {
	case types.OCILayer, types.OCIUncompressedLayer, types.OCILayerZStd, types.DockerLayer, types.DockerUncompressedLayer,
		types.OCIRestrictedLayer, types.OCIUncompressedRestrictedLayer, types.DockerForeignLayer,
		dockerZstdLayer:
		return true
	}
	return false
}

// choose returns top, or the manifest for the platform if top is an index.
func choose(ctx context.Context, s *store.Store, src source, top *manifest, platform string) (*manifest, error) {
	for depth := 0; top.mediaType.IsIndex(); depth++ {
		if depth == 3 {
			return nil, fmt.Errorf("index %s: too many nested indexes", top.digest)
		}
		index, err := v1.ParseIndexManifest(bytes.NewReader(top.raw))
		if err != nil {
			return nil, fmt.Errorf("index %s: %w", top.digest, err)
		}
		d, err := match(index, platform)
		if err != nil {
			return nil, err
		}
		if top, err = src.manifest(ctx, &d.Digest); err != nil {
			return nil, err
		}
	}
	if !top.mediaType.IsImage() {
		return nil, fmt.Errorf("manifest %s: the media type %s is not that of an image", top.digest, top.mediaType)
	}
	return top, nil
}

// match returns the image of an index for the platform.
func match(index *v1.IndexManifest, platform string) (*v1.Descriptor, error) {
	wanted, err := platforms(platform)
	if err != nil {
		return nil, err
	}
	for _, w := range wanted {
		for i, d := range index.Manifests {
			if d.Platform != nil && d.Platform.OS == w.OS && d.Platform.Architecture == w.Architecture && d.Platform.Variant == w.Variant {
				return &index.Manifests[i], nil
			}
		}
	}
	if len(index.Manifests) == 1 && index.Manifests[0].Platform == nil {
		return &index.Manifests[0], nil
	}
	var offered []string
	for _, d := range index.Manifests {
		if d.Platform != nil && d.Platform.OS != "unknown" {
			offered = append(offered, d.Platform.String())
		}
	}
	return nil, fmt.Errorf("the image is not available for %s; it is for: %s (use --platform)", wanted[0], strings.Join(offered, ", "))
}

// fetchConfig fetches the configuration of an image.
func fetchConfig(ctx context.Context, s *store.Store, src source, d v1.Descriptor) (*v1.ConfigFile, error) {
	raw, err := fetchConfigBlob(ctx, s, src, d)
	if err != nil {
		return nil, err
	}
	config := new(v1.ConfigFile)
	if err := json.Unmarshal(raw, config); err != nil {
		return nil, fmt.Errorf("configuration %s: %w", d.Digest, err)
	}
	return config, nil
}

// fetchConfigBlob fetches the configuration of an image, and returns its content.
func fetchConfigBlob(ctx context.Context, s *store.Store, src source, d v1.Descriptor) ([]byte, error) {
	if d.Size > maxManifest {
		return nil, fmt.Errorf("configuration %s: larger than %d bytes", d.Digest, maxManifest)
	}
	err := retry(ctx, func() error {
		return s.Fetch(ctx, d, func(ctx context.Context, offset int64) (io.ReadCloser, error) { return src.blob(ctx, d, offset) }, nil)
	})
	if err != nil {
		return nil, err
	}
	return s.ReadBlob(d.Digest)
}

// fetchAndUnpack fetches the layers, and unpacks each once it and those below it are there.
func fetchAndUnpack(ctx context.Context, s *store.Store, use store.Lock, src source, layers []v1.Descriptor, diffIDs []v1.Hash, o Options) error {
	return fetchLayers(ctx, s, src, layers, o, func(ctx context.Context, fetched []chan error) error {
		return unpackAll(ctx, s, use, layers, diffIDs, fetched, o)
	})
}

// waitForAll waits until all layers are there.
func waitForAll(_ context.Context, fetched []chan error) error {
	for i := range fetched {
		if err := waitFor(fetched, i); err != nil {
			return err
		}
	}
	return nil
}

// waitFor waits until the layer i is there, or cannot be fetched.
func waitFor(fetched []chan error, i int) error {
	err := <-fetched[i]
	fetched[i] <- err // for the next one who waits
	return err
}

// fetchLayers fetches the layers, several at a time, and calls use meanwhile. When a layer is there, its
// channel in fetched has the error.
func fetchLayers(ctx context.Context, s *store.Store, src source, layers []v1.Descriptor, o Options, use func(ctx context.Context, fetched []chan error) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	slots := make(chan struct{}, parallel)
	fetched := make([]chan error, len(layers))
	for i, d := range layers {
		fetched[i] = make(chan error, 1)
		bar := o.Progress.Start("Fetching "+shortDigest(d.Digest), d.Size)
		go func() {
			// The first layers first: they are unpacked first.
			select {
			case slots <- struct{}{}:
				defer func() { <-slots }()
			case <-ctx.Done():
				bar.End(false)
				fetched[i] <- context.Cause(ctx)
				return
			}
			err := fetchLayer(ctx, s, src, d, bar)
			bar.End(err == nil)
			fetched[i] <- err
		}()
	}
	err := use(ctx, fetched)
	cancel()
	for _, done := range fetched {
		// After an error, the others end soon. Their errors are its consequence, except for
		// one that came first.
		if e := <-done; e != nil && (err == nil || errors.Is(err, context.Canceled)) {
			err = e
		}
	}
	return err
}

func fetchLayer(ctx context.Context, s *store.Store, src source, d v1.Descriptor, bar Bar) error {
	var have int64
	return retry(ctx, func() error {
		bar.Add(-have)
		have = 0
		return s.Fetch(ctx, d, func(ctx context.Context, offset int64) (io.ReadCloser, error) { return src.blob(ctx, d, offset) }, func(n int64) {
			have += n
			bar.Add(n)
		})
	})
}

// unpackAll unpacks the layers as they arrive.
func unpackAll(ctx context.Context, s *store.Store, use store.Lock, layers []v1.Descriptor, diffIDs []v1.Hash, fetched []chan error, o Options) (err error) {
	ids := store.LayerIDs(diffIDs)
	if !slices.ContainsFunc(ids, func(id string) bool { return !s.HasLayer(id) }) {
		return waitForAll(ctx, fetched)
	}
	p, err := unpack.Start(s, use, isolation.Current().NativeOwners())
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, p.Cancel)
	defer func() {
		stop()
		err = errors.Join(err, p.Close())
	}()
	p.Warn = o.Warn
	for i, d := range layers {
		if err := waitFor(fetched, i); err != nil {
			return err
		}
		bar := o.Progress.Start("Unpacking "+shortDigest(d.Digest), d.Size)
		p.Progress = bar.Add
		err := p.Layer(ids[i], s.BlobPath(d.Digest), diffIDs[i])
		bar.End(err == nil)
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fmt.Errorf("layer %s: %w", shortDigest(d.Digest), err)
		}
	}
	return p.Commit()
}

// Unpack unpacks those layers of an image of the store that are not unpacked.
func Unpack(ctx context.Context, s *store.Store, use store.Lock, i *store.Image, o Options) error {
	fetched := make([]chan error, len(i.Manifest.Layers))
	for n, d := range i.Manifest.Layers {
		fetched[n] = make(chan error, 1)
		if !s.HasBlob(d) {
			return fmt.Errorf("layer %s of image %s is missing from the store; pull the image again", shortDigest(d.Digest), i.Name)
		}
		fetched[n] <- nil
	}
	return unpackAll(ctx, s, use, i.Manifest.Layers, i.Config.RootFS.DiffIDs, fetched, o)
}

func shortDigest(digest v1.Hash) string { return digest.Hex[:min(12, len(digest.Hex))] }
