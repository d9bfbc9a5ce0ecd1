package store

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/image/layer"
	"github.com/rootless-containers/subuidless/internal/image/storedir"
)

// Container is a container of an image. Its directory is containers/ID: config.json is its
// Container, exit.json says how it has ended, rootfs is its root file system or the place to
// mount it, upper and work are those of overlayfs, and lock is locked while the container runs.
type Container struct {
	ID         string
	Name       string
	Image      string // as the user has named it
	ImageID    v1.Hash
	Layers     []string // the topmost first; empty if rootfs is a copy of them
	Command    []string
	Labels     map[string]string `json:",omitempty"`
	StopSignal string            `json:",omitempty"`
	AutoRemove bool              `json:",omitempty"` // remove it when it ends
	Created    time.Time

	Pid int `json:",omitempty"` // of the process that runs it: subuidless run
	storedir.Exit

	Running bool   `json:"-"`
	Dir     string `json:"-"`
}

// validName is what docker and podman accept as the name of a container.
var validName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`) })

// NewContainer adds a container, and sets its ID, Name, Created, Pid and Dir. It is running
// until the caller unlocks the Lock. The caller holds Use.
func (s *Store) NewContainer(c *Container) (Lock, error) {
	if c.Name != "" && !validName().MatchString(c.Name) {
		return Lock{}, fmt.Errorf("container name %q: only letters, digits, and _ . - after the first one are allowed", c.Name)
	}
	names, err := lockFile(s.path("locks", "containers"), unix.LOCK_EX)
	if err != nil {
		return Lock{}, err
	}
	defer names.Unlock()
	all, err := s.Containers()
	if err != nil {
		return Lock{}, err
	}
	for _, o := range all {
		if c.Name != "" && o.Name == c.Name {
			return Lock{}, fmt.Errorf("container name %q: container %s has it (remove that one with subuidless rm %s, or choose another name)", c.Name, o.ID[:12], c.Name)
		}
	}
	id := make([]byte, 32)
	rand.Read(id)
	c.ID = hex.EncodeToString(id)
	c.Name = cmp.Or(c.Name, c.ID[:12])
	c.Created, c.Pid, c.Dir = time.Now(), os.Getpid(), s.path("containers", c.ID)
	for _, dir := range []string{"", "rootfs", "upper", "work"} {
		if err := os.Mkdir(filepath.Join(c.Dir, dir), 0o700); err != nil {
			return Lock{}, err
		}
	}
	l, err := lockFile(filepath.Join(c.Dir, "lock"), unix.LOCK_EX)
	if err != nil {
		return Lock{}, err
	}
	if err := c.Save(); err != nil {
		l.Unlock()
		return Lock{}, errors.Join(err, layer.RemoveAll(c.Dir))
	}
	return l, nil
}

// Save writes config.json.
func (c *Container) Save() error {
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return WriteFile(filepath.Join(c.Dir, storedir.Config), append(b, '\n'))
}

// Containers returns all containers, the newest first.
func (s *Store) Containers() ([]*Container, error) {
	entries, err := os.ReadDir(s.path("containers"))
	if err != nil {
		return nil, err
	}
	var all []*Container
	for _, e := range entries {
		c := &Container{Dir: s.path("containers", e.Name())}
		err := readJSON(filepath.Join(c.Dir, storedir.Config), c)
		if errors.Is(err, os.ErrNotExist) {
			continue // being created or removed, or left by a process that was killed then
		}
		if err != nil {
			return nil, err
		}
		c.Running = c.IsRunning()
		if c.Exit, err = storedir.ReadExit(c.Dir); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *Container) int { return b.Created.Compare(a.Created) })
	return all, nil
}

// IsRunning reports whether the container runs now.
func (c *Container) IsRunning() bool { return isLocked(filepath.Join(c.Dir, "lock")) }

// isLocked reports whether a process holds the lock of the file name.
func isLocked(name string) bool {
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK)
}

// FindContainer returns the container with this name, or whose id begins with it.
func (s *Store) FindContainer(text string) (*Container, error) {
	all, err := s.Containers()
	if err != nil {
		return nil, err
	}
	var found []*Container
	for _, c := range all {
		if c.Name == text || c.ID == text {
			return c, nil
		}
		if strings.HasPrefix(c.ID, text) {
			found = append(found, c)
		}
	}
	switch {
	case text == "" || len(found) == 0:
		return nil, fmt.Errorf("container %q: %w (subuidless ps -a lists all)", text, ErrNotFound)
	case len(found) > 1:
		return nil, fmt.Errorf("container %q: several containers have an id that begins with it", text)
	}
	return found[0], nil
}

// RemoveContainer removes a container that does not run, and its files.
func (s *Store) RemoveContainer(c *Container) error { return storedir.RemoveContainer(c.Dir) }
