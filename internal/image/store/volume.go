package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/rootless-containers/subuidless/internal/image/storedir"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/image/layer"
)

// Volume is a named volume. Its directory is volumes/NAME: volume.json is its Volume, and _data
// has the files.
type Volume struct {
	Name    string
	Labels  map[string]string `json:",omitempty"`
	Created time.Time
	// Lost means that volume.json is damaged: the labels are unknown. The files are there.
	Lost bool `json:"-"`

	Data string `json:"-"` // absolute path of the files
	dir  string
}

// CreateVolume returns the volume with this name, and creates it if it does not exist.
func (s *Store) CreateVolume(name string, labels map[string]string) (*Volume, error) {
	if !validName().MatchString(name) {
		return nil, fmt.Errorf("volume name %q: only letters, digits, and _ . - after the first one are allowed", name)
	}
	l, err := s.LockVolumes()
	if err != nil {
		return nil, err
	}
	defer l.Unlock()
	v, err := s.FindVolume(name)
	if !errors.Is(err, ErrNotFound) {
		return v, err
	}
	v = &Volume{Name: name, Labels: labels, Created: time.Now()}
	v.setDir(s)
	if err := os.MkdirAll(v.Data, 0o755); err != nil {
		return nil, err
	}
	// The directory of the data is the container's, and others must not reach it.
	if err := os.Chmod(v.dir, 0o700); err != nil {
		return nil, err
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return v, storedir.WriteFile(filepath.Join(v.dir, "volume.json"), append(b, '\n'))
}

func (v *Volume) setDir(s *Store) {
	v.dir = s.path("volumes", v.Name)
	v.Data = filepath.Join(v.dir, "_data")
}

// LockVolumes keeps others from creating, filling and removing volumes.
func (s *Store) LockVolumes() (Lock, error) {
	return storedir.LockFile(s.path("locks", "volumes"), unix.LOCK_EX)
}

// FindVolume returns the volume with this name.
func (s *Store) FindVolume(name string) (*Volume, error) {
	v := &Volume{Name: name}
	v.setDir(s)
	file := filepath.Join(v.dir, "volume.json")
	b, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil, fmt.Errorf("volume %q: %w (subuidless volume ls lists all)", name, ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	if json.Unmarshal(b, v) == nil && v.Name == name {
		return v, nil
	}
	v = &Volume{Name: name, Lost: true}
	v.setDir(s)
	st, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	v.Created = st.ModTime()
	return v, nil
}

// Volumes returns all volumes, sorted by name.
func (s *Store) Volumes() ([]*Volume, error) {
	entries, err := os.ReadDir(s.path("volumes"))
	if err != nil {
		return nil, err
	}
	var all []*Volume
	for _, e := range entries {
		v, err := s.FindVolume(e.Name())
		if errors.Is(err, ErrNotFound) {
			continue // being created or removed
		}
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// Users returns the names of the containers that use the volume.
func (v *Volume) Users(containers []*Container) []string {
	var names []string
	for _, c := range containers {
		for _, m := range c.Settings.Mounts {
			if m.Volume == v.Name {
				names = append(names, c.Name)
			}
		}
	}
	return names
}

// volumeUsers returns the containers, which may use volumes. It is an error if one of them is damaged: its
// volumes are unknown.
func (s *Store) volumeUsers() ([]*Container, error) {
	containers, damaged, err := s.Containers()
	if len(damaged) > 0 {
		err = fmt.Errorf("which volumes containers use is unknown: %w", damaged[0])
	}
	return containers, err
}

// RemoveVolume removes a volume that no container uses, and its files.
func (s *Store) RemoveVolume(v *Volume) error {
	l, err := s.LockVolumes()
	if err != nil {
		return err
	}
	defer l.Unlock()
	containers, err := s.volumeUsers()
	if err != nil {
		return err
	}
	if users := v.Users(containers); len(users) > 0 {
		return fmt.Errorf("volume %s: container %s uses it", v.Name, users[0])
	}
	// First the file that makes it a volume.
	if err := os.Remove(filepath.Join(v.dir, "volume.json")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return layer.RemoveAll(v.dir)
}

// PruneVolumes removes all volumes that match and that no container uses, and returns their names. It
// keeps those whose labels are lost.
func (s *Store) PruneVolumes(match Match) (removed []string, err error) {
	volumes, err := s.Volumes()
	if err != nil {
		return nil, err
	}
	for _, v := range volumes {
		containers, err := s.volumeUsers()
		if err != nil {
			return removed, err
		}
		if v.Lost || len(v.Users(containers)) > 0 || !match.fits(v.Labels, v.Created) {
			continue
		}
		if err := s.RemoveVolume(v); err != nil {
			return removed, err
		}
		removed = append(removed, v.Name)
	}
	return removed, nil
}
