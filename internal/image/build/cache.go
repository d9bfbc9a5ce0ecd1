package build

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/rootless-containers/subuidless/internal/image/store"
	"github.com/rootless-containers/subuidless/internal/image/storedir"
)

// usedSteps are the steps of a build, by their keys, for --cache-to.
type usedSteps struct {
	mu  sync.Mutex
	all map[string]*store.CachedLayer
}

// noteUsed notes that the build has used a layer of the cache, or put it there.
func (b *builder) noteUsed(key string, c *store.CachedLayer) {
	b.used.mu.Lock()
	defer b.used.mu.Unlock()
	if b.used.all == nil {
		b.used.all = map[string]*store.CachedLayer{}
	}
	b.used.all[key] = c
}

// cacheIndex is the file in a directory of --cache-to that has the steps.
const cacheIndex = "steps.json"

// importCache reads the directories of --cache-from. One that does not exist is like an empty one,
// as in the first build of a CI job.
func (b *builder) importCache(ctx context.Context) error {
	for _, dir := range b.CacheFrom {
		raw, err := os.ReadFile(filepath.Join(dir, cacheIndex))
		if errors.Is(err, os.ErrNotExist) {
			b.warn(fmt.Sprintf("--cache-from: %s has no cache", dir))
			continue
		}
		if err != nil {
			return err
		}
		var steps map[string]*store.CachedLayer
		if err := json.Unmarshal(raw, &steps); err != nil {
			return fmt.Errorf("--cache-from: %s: %w", filepath.Join(dir, cacheIndex), err)
		}
		for key, c := range steps {
			if err := b.importStep(ctx, dir, key, c); err != nil {
				return fmt.Errorf("--cache-from: %s: %w", dir, err)
			}
		}
	}
	return nil
}

// importStep adds a layer, which is verified, to the cache of the store.
func (b *builder) importStep(ctx context.Context, dir, key string, c *store.CachedLayer) error {
	if !isKey(key) {
		return fmt.Errorf("%q is not the key of a step", key)
	}
	if !c.Empty {
		if err := store.CheckDigest(c.Layer.Digest); err != nil {
			return err
		}
		err := b.store.Fetch(ctx, c.Layer, func(_ context.Context, offset int64) (io.ReadCloser, error) {
			f, err := os.Open(filepath.Join(dir, c.Layer.Digest.Hex))
			if err != nil {
				return nil, err
			}
			if _, err := f.Seek(offset, io.SeekStart); err != nil {
				return nil, errors.Join(err, f.Close())
			}
			return f, nil
		}, nil)
		if err != nil {
			return err
		}
	}
	return b.store.PutCachedLayer(key, c)
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

// exportCache writes the steps of this build to the directory of --cache-to.
func (b *builder) exportCache() error {
	dir := b.CacheTo
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, c := range b.used.all {
		if c.Empty {
			continue
		}
		if err := copyBlob(b.store.BlobPath(c.Layer.Digest), filepath.Join(dir, c.Layer.Digest.Hex)); err != nil {
			return fmt.Errorf("--cache-to: %w", err)
		}
	}
	raw, err := json.MarshalIndent(b.used.all, "", "  ")
	if err != nil {
		return err
	}
	return storedir.WriteFile(filepath.Join(dir, cacheIndex), append(raw, '\n'))
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
