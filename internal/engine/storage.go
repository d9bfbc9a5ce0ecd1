package engine

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/BurntSushi/toml"
)

// The storage drivers that work without root.
const (
	overlay = "overlay"
	vfs     = "vfs"
)

// storage is the user's storage of images and containers: see containers-storage.conf(5).
type storage struct {
	conf   string // the configuration file; empty: none
	root   string // the graph root
	driver string // the driver in the configuration file; empty: none
	// mountProgram is the program in the configuration file that mounts overlays instead
	// of the kernel.
	mountProgram string
}

// storageFiles are the configuration files for all users. If the user has none, the first one that
// exists is read.
var storageFiles = []string{"/etc/containers/storage.conf", "/usr/share/containers/storage.conf"}

// findStorage returns the storage of the user whose environment getenv reads.
func findStorage(getenv func(string) string) (*storage, error) {
	home := getenv("HOME")
	orHome := func(variable, path string) string {
		if dir := getenv(variable); dir != "" {
			return dir
		}
		return filepath.Join(home, path)
	}
	s := &storage{root: filepath.Join(orHome("XDG_DATA_HOME", ".local/share"), "containers", "storage")}
	files := append([]string{filepath.Join(orHome("XDG_CONFIG_HOME", ".config"), "containers", "storage.conf")}, storageFiles...)
	if file := getenv("CONTAINERS_STORAGE_CONF"); file != "" {
		files = []string{file}
	}
	for i, file := range files {
		b, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := s.configure(b, i == 0, getenv); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		s.conf = file
		break
	}
	return s, nil
}

// configure reads the configuration file b. The graph root in a file for all users is root's.
func (s *storage) configure(b []byte, own bool, getenv func(string) string) error {
	var c struct {
		Storage struct {
			Driver              string `toml:"driver"`
			GraphRoot           string `toml:"graphroot"`
			RootlessStoragePath string `toml:"rootless_storage_path"`
			Options             struct {
				MountProgram string `toml:"mount_program"`
				Overlay      struct {
					MountProgram string `toml:"mount_program"`
				} `toml:"overlay"`
			} `toml:"options"`
		} `toml:"storage"`
	}
	if err := toml.Unmarshal(b, &c); err != nil {
		return err
	}
	s.driver, s.mountProgram = c.Storage.Driver, c.Storage.Options.Overlay.MountProgram
	if s.mountProgram == "" {
		s.mountProgram = c.Storage.Options.MountProgram
	}
	root := c.Storage.RootlessStoragePath
	if own && c.Storage.GraphRoot != "" {
		root = c.Storage.GraphRoot
	}
	if root != "" {
		s.root = os.Expand(root, func(name string) string {
			if name == "UID" {
				return fmt.Sprint(os.Geteuid())
			}
			return getenv(name)
		})
	}
	return nil
}

// has reports whether the storage has been used with the driver.
func (s *storage) has(driver string) bool {
	_, err := os.Stat(filepath.Join(s.root, driver+"-images"))
	return err == nil
}

// chosenVFS reports whether the storage is bound to the driver vfs. The database of podman 4
// keeps the driver that podman's first command has used, as the value of a key that it follows
// at once, and uses no other one.
func (s *storage) chosenVFS() bool {
	if !s.has(vfs) {
		return false
	}
	db, err := os.ReadFile(filepath.Join(s.root, "libpod", "bolt_state.db"))
	if err != nil {
		return !s.has(overlay)
	}
	return bytes.Contains(db, []byte("graph-driver-name"+vfs))
}

// chooseDriver returns the value for STORAGE_DRIVER, or "" to leave the choice to the engine,
// and what to tell the user about the storage. Works reports whether the kernel can mount an
// overlay in the directory dir for root of a user namespace.
//
// Without a configuration file, podman 4 uses vfs even where overlay works, and buildah does
// not read podman's database. The same driver in all cases keeps their images together.
func (s *storage) chooseDriver(works func(dir string) bool) (driver string, notice string) {
	switch {
	case s.driver != "":
		return "", ""
	case s.chosenVFS():
		return vfs, fmt.Sprintf("the images in %s use the storage driver vfs, which copies every layer completely, because an earlier podman chose it: it keeps that choice for ever. To change to overlay, remove all images, containers and volumes: subuidless podman system reset", s.root)
	case s.mountProgram != "", s.has(overlay), works(s.root):
		return overlay, ""
	}
	return "", ""
}
