// Package storedir has what the main program knows of stores: where they are, and how a
// container of one ends. Package store has the rest.
package storedir

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

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

// exitFile is the file in a container's directory with its Exit.
const exitFile = "exit.json"

// Exit says how a container has ended.
type Exit struct {
	Finished time.Time `json:",omitzero"`
	ExitCode int       `json:",omitempty"` // as launch.Run returns it
}

// SaveExit stores how the container in dir has ended.
func SaveExit(dir string, e Exit) error {
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	// Not synced: a container that has vanished in a crash of the machine counts as killed.
	name := filepath.Join(dir, exitFile)
	if err := os.WriteFile(name+".new", append(b, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

// ReadExit returns how the container in dir has ended. It is zero if that is not known,
// because the container runs or has been killed together with what runs it.
func ReadExit(dir string) (Exit, error) {
	b, err := os.ReadFile(filepath.Join(dir, exitFile))
	if errors.Is(err, os.ErrNotExist) {
		return Exit{}, nil
	}
	if err != nil {
		return Exit{}, err
	}
	var e Exit
	if json.Unmarshal(b, &e) != nil {
		return Exit{}, nil // the machine has crashed: see SaveExit
	}
	return e, nil
}

// RemoveContainer removes the directory of a container that does not run, and its files.
func RemoveContainer(dir string) error {
	// First the file that makes it a container, so that nobody sees a part of one.
	if err := os.Remove(filepath.Join(dir, Config)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return layer.RemoveAll(dir)
}
