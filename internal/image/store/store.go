// Package store keeps images, unpacked layers and containers on disk.
//
// A store is a directory of the user. Its top is an OCI image layout, which other tools can
// read:
//
//	oci-layout, index.json   the images; the annotation with the name is that of the image-spec
//	blobs/sha256/HEX         manifests, configurations and compressed layers
//	layers/ID                unpacked layers: see package layer
//	containers/ID            see storedir.Container
//	volumes/NAME             see Volume
//	cache/steps/KEY          see CachedLayer
//	cache/mounts/HEX         see CacheMount
//	tmp/                     blobs that are being downloaded, and files of running builds
//	locks/                   files for flock(2)
//
// # What survives
//
// Everything that has its final name is complete: it is written under another name, synced,
// and renamed. Whatever a process that was killed leaves behind has a name in tmp/, or one
// that ends in .new, and no lock. The next process that makes the same thing continues it or
// starts over, and Prune removes it.
//
// # Locks
//
// flock(2) orders processes; the kernel releases the locks of one that dies. Use is held,
// shared, by everything that adds to the store or relies on what it has found there, and
// exclusively by what removes unused blobs and layers. Below it, a process takes the lock of
// a blob in tmp/, of a layer (from the bottom of an image to its top), or of the index, which
// is held for a moment only.
package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/image/storedir"
)

// Store is an open store.
type Store struct {
	Dir string // absolute path
}

const layoutVersion = `{"imageLayoutVersion":"1.0.0"}`

// Open opens the store in dir, and creates it if it does not exist.
func Open(dir string) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{Dir: dir}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("creating the store of images: %w", err)
	}
	for _, sub := range []string{"blobs/sha256", "layers", "containers", "volumes", "tmp", "locks"} {
		if err := os.MkdirAll(s.path(sub), 0o700); err != nil {
			return nil, fmt.Errorf("creating the store of images: %w", err)
		}
	}
	if _, err := os.Lstat(s.path("oci-layout")); errors.Is(err, os.ErrNotExist) {
		if err := storedir.WriteFile(s.path("oci-layout"), []byte(layoutVersion)); err != nil {
			return nil, err
		}
	}
	if _, err := os.Lstat(s.path(storedir.Index)); errors.Is(err, os.ErrNotExist) {
		err := s.withIndex(func(*v1.IndexManifest) (bool, error) { return true, nil })
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

// nativeOwners is the name of the file that marks a store whose files have owners of the kernel
// instead of records.
const nativeOwners = "native-owners"

// CheckOwners returns an error if the files of the store have owners of another kind: native ones,
// or records.
func (s *Store) CheckOwners(native bool) error {
	_, err := os.Lstat(s.path(nativeOwners))
	marked := err == nil
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if marked == native {
		return nil
	}
	if marked {
		return fmt.Errorf("the store %s has files with native owners, as containers by chroot need them, but here owners are records: choose another one with --root or XDG_DATA_HOME, or remove it", s.Dir)
	}
	for _, sub := range []string{"layers", "containers", "volumes"} {
		if entries, err := os.ReadDir(s.path(sub)); err != nil {
			return err
		} else if len(entries) > 0 {
			return fmt.Errorf("the store %s has files with records of owners, but containers run by chroot here, which needs native owners: choose another one with --root or XDG_DATA_HOME, or remove it", s.Dir)
		}
	}
	return storedir.WriteFile(s.path(nativeOwners), nil)
}

func (s *Store) path(elem ...string) string {
	return filepath.Join(append([]string{s.Dir}, elem...)...)
}

// TempDir returns the directory for files that are removed when they are not in use.
func (s *Store) TempDir() string { return s.path("tmp") }

// Lock is a lock that flock(2) gives.
type Lock = storedir.Lock

// Use keeps others from removing blobs and layers until Unlock.
func (s *Store) Use() (Lock, error) { return storedir.LockFile(s.path("locks", "use"), unix.LOCK_SH) }

// exclusive waits until nobody uses the store, and keeps everybody from it until Unlock. It
// calls waiting first if it has to wait.
func (s *Store) exclusive(waiting func()) (Lock, error) {
	l, err := storedir.LockFile(s.path("locks", "use"), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		waiting()
		return storedir.LockFile(s.path("locks", "use"), unix.LOCK_EX)
	}
	return l, err
}
