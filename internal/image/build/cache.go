package build

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/rootless-containers/subuidless/internal/image/reference"
	"github.com/rootless-containers/subuidless/internal/image/store"
	"github.com/rootless-containers/subuidless/internal/image/storedir"
	"github.com/rootless-containers/subuidless/internal/image/transfer"
)

// Cache is where layers of steps come from or go to, besides the store. Exactly one field of the
// first three is set.
type Cache struct {
	Dir    string              // directory
	Image  reference.Reference // an image of a registry
	Inline bool                // the image that is built; only for Options.CacheTo
	Min    bool                // only the layers of the image that is built, not of other stages
}

// steps are the layers of steps, by their keys.
type steps map[string]*store.CachedLayer

// usedSteps are the steps of a build, for --cache-to.
type usedSteps struct {
	mu  sync.Mutex
	all steps
}

// noteUsed notes that the build has used a layer of the cache, or put it there.
func (b *builder) noteUsed(key string, c *store.CachedLayer) {
	b.used.mu.Lock()
	defer b.used.mu.Unlock()
	if b.used.all == nil {
		b.used.all = steps{}
	}
	b.used.all[key] = c
}

// importedCache has the steps of a --cache-from.
type importedCache struct {
	name  string
	steps steps
	fetch func(ctx context.Context, d v1.Descriptor) error // adds a layer, which is verified, to the store
}

const (
	// cacheIndex is the file in a directory of --cache-to that has the steps.
	cacheIndex = "steps.json"
	// cacheType is the media type of the configuration of an image that has nothing but a cache: the
	// steps. Its layers are theirs.
	cacheType = "application/vnd.subuidless.buildcache.v1+json"
	// inlineCache is the field of the configuration of an image that has the steps.
	inlineCache = "subuidless.buildcache.v1"
)

// importCaches reads the steps of all --cache-from. A cache that does not exist is like an empty one, as
// in the first build of a CI job.
func (b *builder) importCaches(ctx context.Context) error {
	for _, from := range b.CacheFrom {
		if from.Dir != "" {
			if err := b.importCache(b.readCacheDir(from)); err != nil {
				return err
			}
			continue
		}
		for _, t := range b.targets { // an inline cache is that of one platform
			if err := b.importCache(t.readCacheImage(ctx, from)); err != nil {
				return err
			}
		}
	}
	return nil
}

// importCache adds the steps of a --cache-from, which have been read with this error.
func (b *builder) importCache(c *importedCache, err error) error {
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, store.ErrNotFound) {
		b.warn(fmt.Sprintf("--cache-from: %s has no cache", c.name))
		return nil
	}
	if err != nil {
		return fmt.Errorf("--cache-from: %w", err)
	}
	for key, step := range c.steps {
		if step == nil || !isKey(key) {
			return fmt.Errorf("--cache-from: %s: %q is not the key of a step", c.name, key)
		}
	}
	b.imported = append(b.imported, c)
	return nil
}

// readCacheDir reads the steps in a directory. With an error, only the name is valid.
func (b *builder) readCacheDir(from Cache) (*importedCache, error) {
	c := &importedCache{name: from.Dir}
	c.fetch = func(ctx context.Context, d v1.Descriptor) error {
		return b.store.Fetch(ctx, d, func(_ context.Context, offset int64) (io.ReadCloser, error) {
			f, err := os.Open(filepath.Join(from.Dir, d.Digest.Hex))
			if err != nil {
				return nil, err
			}
			if _, err := f.Seek(offset, io.SeekStart); err != nil {
				return nil, errors.Join(err, f.Close())
			}
			return f, nil
		}, nil)
	}
	name := filepath.Join(from.Dir, cacheIndex)
	raw, err := os.ReadFile(name)
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(raw, &c.steps); err != nil {
		return c, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

// readCacheImage reads the steps in an image: one that has nothing else, or one with an inline cache.
// With an error, only the name is valid.
func (t *target) readCacheImage(ctx context.Context, from Cache) (*importedCache, error) {
	c := &importedCache{name: from.Image.Name}
	o := t.Transfer
	o.Platform = t.platform
	r, err := transfer.OpenRemote(ctx, t.store, from.Image, o)
	if err != nil {
		return c, err
	}
	c.fetch = func(ctx context.Context, d v1.Descriptor) error { return r.Fetch(ctx, t.store, d) }
	if r.Manifest.Config.MediaType == cacheType {
		err = json.Unmarshal(r.Config, &c.steps)
	} else {
		var config map[string]json.RawMessage
		if err = json.Unmarshal(r.Config, &config); err == nil {
			inline, found := config[inlineCache]
			if !found {
				return c, store.ErrNotFound
			}
			err = json.Unmarshal(inline, &c.steps)
		}
	}
	if err != nil {
		return c, fmt.Errorf("%s: its cache: %w", c.name, err)
	}
	return c, nil
}

// cached returns the layer of the step with this key, or nil. It may come from a --cache-from.
func (b *builder) cached(ctx context.Context, key string) (*store.CachedLayer, error) {
	found, err := b.store.CachedLayer(key)
	if found != nil || err != nil {
		return found, err
	}
	for _, from := range b.imported {
		step := from.steps[key]
		if step == nil {
			continue
		}
		if !step.Empty {
			if err := from.fetch(ctx, step.Layer); err != nil {
				return nil, fmt.Errorf("--cache-from: %s: %w", from.name, err)
			}
		}
		return step, b.store.PutCachedLayer(key, step)
	}
	return nil, nil
}

// isKey reports whether key is the hexadecimal form of a digest.
func isKey(key string) bool {
	if len(key) != 64 {
		return false
	}
	for _, c := range key {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// stepsFor returns the steps of this build that belong to its --cache-to, for an image with these
// layers.
func (b *builder) stepsFor(layers []v1.Descriptor) steps {
	all := steps{}
	for key, c := range b.used.all {
		inImage := func(d v1.Descriptor) bool { return d.Digest == c.Layer.Digest }
		if c.Empty || !b.CacheTo.Min && !b.CacheTo.Inline || slices.ContainsFunc(layers, inImage) {
			all[key] = c
		}
	}
	return all
}

// exportCache writes the steps of this build to the directory or the registry of --cache-to.
func (b *builder) exportCache(ctx context.Context, i *store.Image) error {
	if b.CacheTo == nil || b.CacheTo.Inline {
		return nil
	}
	var layers []v1.Descriptor
	for _, one := range i.All() {
		layers = append(layers, one.Manifest.Layers...)
	}
	all := b.stepsFor(layers)
	var err error
	if b.CacheTo.Dir != "" {
		err = b.writeCacheDir(b.CacheTo.Dir, all)
	} else {
		err = b.pushCache(ctx, all)
	}
	if err != nil {
		return fmt.Errorf("--cache-to: %w", err)
	}
	return nil
}

// layers returns the layers, each once, in the order of their digests.
func (all steps) layers() []v1.Descriptor {
	var list []v1.Descriptor
	for _, c := range all {
		if !c.Empty {
			list = append(list, c.Layer)
		}
	}
	slices.SortFunc(list, func(x, y v1.Descriptor) int { return cmp.Compare(x.Digest.Hex, y.Digest.Hex) })
	return slices.CompactFunc(list, func(x, y v1.Descriptor) bool { return x.Digest == y.Digest })
}

func (b *builder) writeCacheDir(dir string, all steps) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, d := range all.layers() {
		if err := copyBlob(b.store.BlobPath(d.Digest), filepath.Join(dir, d.Digest.Hex)); err != nil {
			return err
		}
	}
	raw, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	return storedir.WriteFile(filepath.Join(dir, cacheIndex), append(raw, '\n'))
}

// pushCache pushes the steps as an image.
func (b *builder) pushCache(ctx context.Context, all steps) (err error) {
	shown := b.Progress.Start("[internal] push cache to " + b.CacheTo.Image.Name)
	defer func() { shown.Done(err) }()
	config, err := json.Marshal(all)
	if err != nil {
		return err
	}
	m := &v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1,
		Config: v1.Descriptor{MediaType: cacheType}, Layers: append([]v1.Descriptor{}, all.layers()...),
	}
	return transfer.PushRemote(ctx, b.store, b.CacheTo.Image, m, config, b.Transfer)
}

// withInlineCache adds the steps to the configuration of the image with these layers, if --cache-to
// wants them there.
func (b *builder) withInlineCache(config []byte, layers []v1.Descriptor) ([]byte, error) {
	if b.CacheTo == nil || !b.CacheTo.Inline {
		return config, nil
	}
	steps, err := json.Marshal(b.stepsFor(layers))
	if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(config, &fields); err != nil {
		return nil, err
	}
	fields[inlineCache] = steps
	return json.Marshal(fields)
}

// copyBlob copies a file, unless the copy is there. It appears when it is complete.
func copyBlob(from, to string) (err error) {
	if _, err := os.Stat(to); err == nil {
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.CreateTemp(filepath.Dir(to), ".blob-*")
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	err = errors.Join(err, out.Chmod(0o644), out.Close())
	if err == nil {
		err = os.Rename(out.Name(), to)
	}
	if err != nil {
		return errors.Join(err, os.Remove(out.Name()))
	}
	return nil
}
