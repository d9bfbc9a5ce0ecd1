package storedir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Damaged is the error about a container whose config.json or state.json cannot be read. Its files are
// there.
type Damaged struct {
	// Container has only what is known without them: ID, the beginning of it as Name, Running and Dir.
	Container *Container
	Err       error
}

func (d *Damaged) Error() string {
	return fmt.Sprintf("container %s is damaged: %s", d.Container.Name, d.Reason())
}

// Reason returns the cause and the remedy.
func (d *Damaged) Reason() string {
	return fmt.Sprintf("%v (%s has its files; subuidless rm -f %s removes it with them)", d.Err, d.Container.Dir, d.Container.Name)
}

func (d *Damaged) Unwrap() error { return d.Err }

// Containers returns all containers of the store in dir, which need not exist, the newest first, and
// those that are damaged.
func Containers(dir string) (all []*Container, damaged []*Damaged, err error) {
	entries, err := os.ReadDir(filepath.Join(dir, containersDir))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		c, err := ReadContainer(filepath.Join(dir, containersDir, e.Name()))
		switch {
		case err == nil:
			all = append(all, c)
		case errors.Is(err, os.ErrNotExist):
			// being created or removed, or left by a process that was killed then
		default:
			c := &Container{ID: e.Name(), Name: shortID(e.Name()), Dir: filepath.Join(dir, containersDir, e.Name())}
			c.Running = c.IsRunning()
			damaged = append(damaged, &Damaged{c, err})
		}
	}
	slices.SortFunc(all, func(a, b *Container) int { return b.Created.Compare(a.Created) })
	return all, damaged, nil
}

func shortID(id string) string { return id[:min(minID, len(id))] }

// ReadContainer reads the container in the directory dir. The error is os.ErrNotExist if there is
// none.
func ReadContainer(dir string) (*Container, error) {
	c := &Container{Dir: dir}
	name := filepath.Join(dir, Config)
	if err := ReadJSON(name, c); err != nil {
		return nil, err
	}
	if c.ID != filepath.Base(dir) {
		return nil, fmt.Errorf("%s: it is that of container %q", name, c.ID)
	}
	if err := c.LoadState(); err != nil {
		return c, err
	}
	// RemoveContainer removes it after the configuration.
	_, err := os.Lstat(c.lockFile())
	if errors.Is(err, os.ErrNotExist) {
		if _, e := os.Lstat(name); e == nil {
			return c, fmt.Errorf("%s is missing", c.lockFile())
		}
	}
	return c, err
}

// FindContainer returns the container of the store in dir with this name, or whose id begins with
// it. The error is a Damaged if that one is damaged.
func FindContainer(dir, text string) (*Container, error) {
	all, damaged, err := Containers(dir)
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
	var broken error
	for _, d := range damaged {
		if strings.HasPrefix(d.Container.ID, text) {
			found, broken = append(found, d.Container), d
		}
	}
	switch {
	case text == "" || len(found) == 0:
		return nil, fmt.Errorf("container %q: %w (subuidless ps -a lists all)", text, ErrNotFound)
	case len(found) > 1:
		return nil, fmt.Errorf("container %q: several containers have an id that begins with it", text)
	case broken != nil:
		return nil, broken
	}
	return found[0], nil
}

// minID is the number of digits with which an id counts as one for IsContainer.
const minID = 12

// IsContainer reports whether the store in dir, which need not exist, has a container with this
// name or id, or whose id begins with it, if it has at least 12 digits.
func IsContainer(dir, text string) bool {
	entries, err := os.ReadDir(filepath.Join(dir, containersDir))
	if err != nil {
		return false
	}
	for _, e := range entries {
		var c struct{ Name string }
		err := ReadJSON(filepath.Join(dir, containersDir, e.Name(), Config), &c)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil && c.Name == text || len(text) >= minID && strings.HasPrefix(e.Name(), text) {
			return true
		}
	}
	return false
}
