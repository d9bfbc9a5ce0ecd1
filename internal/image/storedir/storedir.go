// Package storedir has what the main program knows of stores: where they are, and their
// containers. Package store has the rest.
package storedir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/rootless-containers/subuidless/internal/cgroup"
	"github.com/rootless-containers/subuidless/internal/image/layer"
)

// Default returns the path of the calling user's store: subuidless in $XDG_DATA_HOME or
// ~/.local/share. It fails if neither XDG_DATA_HOME nor HOME is set.
func Default() (string, error) {
	data := os.Getenv("XDG_DATA_HOME")
	if !filepath.IsAbs(data) { // the XDG Base Directory Specification: ignore relative paths
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("no directory for images: %w (set HOME or XDG_DATA_HOME, or use --root)", err)
		}
		data = filepath.Join(home, ".local", "share")
	}
	return filepath.Join(data, "subuidless"), nil
}

// Index is the name of the file that every store has.
const Index = "index.json"

// Config is the name of the file that makes a directory that of a container.
const Config = "config.json"

// containersDir is the name of the directory of all containers.
const containersDir = "containers"

// LayersDir returns the directory of the unpacked layers of the store in dir.
func LayersDir(dir string) string { return filepath.Join(dir, "layers") }

// StoreOf returns the directory of the store that the container in the directory dir belongs to.
func StoreOf(dir string) string { return filepath.Dir(filepath.Dir(dir)) }

// ErrNotFound is wrapped by errors about images and containers that the store does not have.
var ErrNotFound = errors.New("not found")

// RemoveContainer removes the directory of a container that does not run, and its files. If its processes
// have been killed, its cgroup is still there.
func RemoveContainer(dir string) error {
	var s State
	if err := ReadJSON(filepath.Join(dir, "state.json"), &s); err == nil && s.Cgroup != "" { // if damaged, the next start of a container removes it
		if err := cgroup.Remove(s.Cgroup); err != nil {
			return err
		}
	}
	// First the file that makes it a container, so that nobody sees a part of one.
	if err := os.Remove(filepath.Join(dir, Config)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return layer.RemoveAll(dir)
}
