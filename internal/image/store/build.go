package store

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/image/layer"
	"github.com/rootless-containers/subuidless/internal/image/storedir"
)

// CachedLayer is the layer that a step of a build makes. Prune removes entries whose blobs are
// gone.
type CachedLayer struct {
	Layer   v1.Descriptor
	DiffID  v1.Hash
	Empty   bool // the step changes no files
	Created time.Time
}

// MarshalJSON leaves out what an empty layer does not have: v1.Hash cannot parse an empty digest.
func (c CachedLayer) MarshalJSON() ([]byte, error) {
	if c.Empty {
		return json.Marshal(struct {
			Empty   bool
			Created time.Time
		}{true, c.Created})
	}
	type plain CachedLayer
	return json.Marshal(plain(c))
}

func (s *Store) cachePath(key string) string { return s.path("cache", "steps", key) }

// CachedLayer returns the layer of the step with this key, a string of hexadecimal digits.
// It is nil if the store does not have it, or if its entry is damaged.
func (s *Store) CachedLayer(key string) (*CachedLayer, error) {
	b, err := os.ReadFile(s.cachePath(key))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c := new(CachedLayer)
	if json.Unmarshal(b, c) != nil || !c.Empty && !s.HasBlob(c.Layer) {
		return nil, nil
	}
	return c, nil
}

// PutCachedLayer stores the layer of the step with this key.
func (s *Store) PutCachedLayer(key string, c *CachedLayer) error {
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.path("cache", "steps"), 0o700); err != nil {
		return err
	}
	return storedir.WriteFile(s.cachePath(key), append(b, '\n'))
}

// sweepCache removes entries of the cache whose blobs are not needed.
func (s *Store) sweepCache(needed func(hex string) bool) error {
	entries, err := os.ReadDir(s.path("cache", "steps"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		name := s.cachePath(e.Name())
		c := new(CachedLayer)
		if storedir.ReadJSON(name, c) == nil && !c.Empty && needed(c.Layer.Digest.Hex) {
			continue
		}
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	return nil
}

// CacheMount is a directory that steps of builds share.
type CacheMount struct {
	Path string
	lock Lock
}

// Close releases the directory.
func (c *CacheMount) Close() { c.lock.Unlock() }

// CacheMount returns the directory for the cache id. If it does not exist, fill makes its first
// content in an empty directory. Exclusive means that nobody else has it until Close; then wait
// says whether to wait for others, or to return ErrInUse.
func (s *Store) CacheMount(id string, exclusive, wait bool, fill func(dir string) error) (*CacheMount, error) {
	sum := sha256.Sum256([]byte(id))
	name := s.path("cache", "mounts", hex.EncodeToString(sum[:]))
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return nil, err
	}
	if err := makeCacheMount(name, fill); err != nil {
		return nil, err
	}
	how := unix.LOCK_SH
	if exclusive {
		how = unix.LOCK_EX
	}
	if !wait {
		how |= unix.LOCK_NB
	}
	l, err := storedir.LockFile(name+".lock", how)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, fmt.Errorf("cache %s: %w", id, ErrInUse)
	}
	if err != nil {
		return nil, err
	}
	return &CacheMount{Path: name, lock: l}, nil
}

// makeCacheMount creates the directory name with its first content, unless it exists.
func makeCacheMount(name string, fill func(string) error) error {
	l, err := storedir.LockFile(name+".make", unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer l.Unlock()
	if _, err := os.Lstat(name); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	next := name + storedir.NewSuffix
	if err := layer.RemoveAll(next); err != nil { // of a process that was killed
		return err
	}
	if err := os.Mkdir(next, 0o755); err != nil {
		return err
	}
	if err := fill(next); err != nil {
		return errors.Join(err, layer.RemoveAll(next))
	}
	if err := syncFileSystem(filepath.Dir(name)); err != nil {
		return errors.Join(err, layer.RemoveAll(next))
	}
	return os.Rename(next, name)
}

// ErrInUse means that another process has a lock.
var ErrInUse = errors.New("in use by another build")

// AdoptLayer makes the directory dir the unpacked layer id, durably. Dir is gone afterwards.
func (s *Store) AdoptLayer(id, dir string) error {
	n, err := s.NewLayer(id)
	if err != nil {
		return err
	}
	if n.Done {
		return layer.RemoveAll(dir)
	}
	all := []*NewLayer{n}
	if err := os.Remove(n.Path); err != nil {
		return errors.Join(err, Abandon(all))
	}
	if err := os.Rename(dir, n.Path); err != nil {
		return errors.Join(err, Abandon(all))
	}
	if err := s.Commit(all); err != nil {
		return errors.Join(err, Abandon(all))
	}
	return nil
}

// AdoptBlob makes the file name, which is complete and synced, the blob with this digest. The
// file is gone afterwards.
func (s *Store) AdoptBlob(name string, digest v1.Hash) error {
	if err := CheckDigest(digest); err != nil {
		return err
	}
	if err := os.Rename(name, s.BlobPath(digest)); err != nil {
		return err
	}
	return storedir.SyncDir(s.path("blobs", "sha256"))
}
