package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"

	"github.com/rootless-containers/subuidless/internal/image/storedir"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/image/layer"
)

// layerIDSize is the length of the id of an unpacked layer: so short that the option lowerdir
// of overlayfs, which is limited to a page of memory, holds more layers than docker allows in
// an image (127), and with 120 bits too long for two to be equal.
const layerIDSize = 30

// LayerIDs returns the ids of the unpacked layers of an image, the bottom one first: the
// beginnings of their ChainIDs (image-spec, config.md). The same layer on top of different
// ones may be unpacked differently.
func LayerIDs(diffIDs []v1.Hash) []string {
	var ids []string
	chain := ""
	for _, diff := range diffIDs {
		if chain == "" {
			chain = diff.String()
		} else {
			sum := sha256.Sum256([]byte(chain + " " + diff.String()))
			chain = "sha256:" + hex.EncodeToString(sum[:])
		}
		ids = append(ids, chain[len("sha256:"):][:layerIDSize])
	}
	return ids
}

// LayersDir returns the directory of the unpacked layers.
func (s *Store) LayersDir() string { return s.path("layers") }

// LayerPath returns the path of the unpacked layer id.
func (s *Store) LayerPath(id string) string { return s.path("layers", id) }

// HasLayer reports whether the layer id is unpacked.
func (s *Store) HasLayer(id string) bool {
	_, err := os.Lstat(s.LayerPath(id))
	return err == nil
}

// NewLayer is a layer that is being unpacked.
type NewLayer struct {
	Path string // where to unpack it, or where it is if Done
	Done bool   // another process has unpacked it

	id   string
	lock Lock
}

// NewLayer prepares to unpack the layer id. It waits for another process that unpacks it. The
// caller calls Commit or Abandon.
func (s *Store) NewLayer(id string) (*NewLayer, error) {
	if s.HasLayer(id) {
		return &NewLayer{Path: s.LayerPath(id), Done: true}, nil
	}
	l, err := storedir.LockFile(s.path("locks", id), unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	if s.HasLayer(id) {
		l.Unlock()
		return &NewLayer{Path: s.LayerPath(id), Done: true}, nil
	}
	n := &NewLayer{Path: s.LayerPath(id) + storedir.NewSuffix, id: id, lock: l}
	// Left by a process that was killed.
	if err := layer.RemoveAll(n.Path); err != nil {
		l.Unlock()
		return nil, err
	}
	if err := os.Mkdir(n.Path, 0o700); err != nil {
		l.Unlock()
		return nil, err
	}
	return n, nil
}

// Commit makes new layers, the bottom one first, those of the store, durably.
func (s *Store) Commit(layers []*NewLayer) error {
	pending := false
	for _, n := range layers {
		pending = pending || !n.Done
	}
	if !pending {
		return nil
	}
	if err := syncFileSystem(s.LayersDir()); err != nil {
		return err
	}
	for _, n := range layers {
		if n.Done {
			continue
		}
		if err := os.Rename(n.Path, s.LayerPath(n.id)); err != nil {
			return err
		}
		n.Done = true
		n.lock.Unlock()
	}
	return storedir.SyncDir(s.LayersDir())
}

// syncFileSystem writes everything on the file system of dir to the disk.
func syncFileSystem(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := unix.Syncfs(int(d.Fd())); err != nil {
		return fmt.Errorf("writing the file system of %s to the disk: %w", dir, err)
	}
	return nil
}

// Abandon removes those of the layers that are not committed.
func Abandon(layers []*NewLayer) error {
	var errs []error
	for _, n := range layers {
		if n.Done {
			continue
		}
		errs = append(errs, layer.RemoveAll(n.Path))
		n.lock.Unlock()
	}
	return errors.Join(errs...)
}
