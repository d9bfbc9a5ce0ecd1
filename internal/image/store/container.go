package store

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/image/layer"
	"github.com/rootless-containers/subuidless/internal/image/storedir"
)

// Container is a container of the store.
type Container = storedir.Container

// validName is what docker and podman accept as the name of a container.
var validName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`) })

// NewContainer adds a container, and sets its ID, Name, Created and Dir. It counts as running
// until the caller unlocks the Lock. The caller holds Use.
func (s *Store) NewContainer(c *Container) (Lock, error) {
	if c.Name != "" && !validName().MatchString(c.Name) {
		return Lock{}, fmt.Errorf("container name %q: only letters, digits, and _ . - after the first one are allowed", c.Name)
	}
	names, err := s.lockNames(c.Name)
	if err != nil {
		return Lock{}, err
	}
	defer names.Unlock()
	id := make([]byte, 32)
	rand.Read(id)
	c.ID = hex.EncodeToString(id)
	c.Name = cmp.Or(c.Name, c.ID[:12])
	c.Created, c.Dir = time.Now(), s.path("containers", c.ID)
	for _, dir := range []string{"", "rootfs", "upper", "work"} {
		if err := os.Mkdir(filepath.Join(c.Dir, dir), 0o700); err != nil {
			return Lock{}, err
		}
	}
	l, err := storedir.LockFile(filepath.Join(c.Dir, "lock"), unix.LOCK_EX)
	if err != nil {
		return Lock{}, err
	}
	if err := c.Save(); err != nil {
		l.Unlock()
		return Lock{}, errors.Join(err, layer.RemoveAll(c.Dir))
	}
	return l, nil
}

// lockNames locks the names of containers, and returns an error if a container has this one.
func (s *Store) lockNames(name string) (Lock, error) {
	l, err := storedir.LockFile(s.path("locks", "containers"), unix.LOCK_EX)
	if err != nil || name == "" {
		return l, err
	}
	all, _, err := s.Containers()
	for _, o := range all {
		if o.Name == name {
			err = fmt.Errorf("container name %q: container %s has it (remove that one with subuidless rm %s, or choose another name)", name, o.ID[:12], name)
		}
	}
	if err != nil {
		l.Unlock()
		return Lock{}, err
	}
	return l, nil
}

// Rename gives the container another name.
func (s *Store) Rename(c *Container, name string) error {
	if !validName().MatchString(name) {
		return fmt.Errorf("container name %q: only letters, digits, and _ . - after the first one are allowed", name)
	}
	names, err := s.lockNames(name)
	if err != nil {
		return err
	}
	defer names.Unlock()
	if _, err := os.Stat(filepath.Join(c.Dir, "config.json")); err != nil {
		return fmt.Errorf("container %s: %w", c.Name, ErrNotFound) // removed just now
	}
	c.Name = name
	return c.Save()
}

// DamagedContainer is the error about a container of which a file is damaged.
type DamagedContainer = storedir.Damaged

// Containers returns all containers, the newest first, and those that are damaged.
func (s *Store) Containers() ([]*Container, []*DamagedContainer, error) {
	return storedir.Containers(s.Dir)
}

// FindContainer returns the container with this name, or whose id begins with it. The error is a
// DamagedContainer if that one is damaged.
func (s *Store) FindContainer(text string) (*Container, error) {
	return storedir.FindContainer(s.Dir, text)
}

// RemoveContainer removes a container that does not run, and its files.
func (s *Store) RemoveContainer(c *Container) error { return storedir.RemoveContainer(c.Dir) }
