package bundle

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rootless-containers/subuidless/internal/syscalls"
)

// Write rewrites config.json in the directory bundle with Rewrite. If the file does not exist,
// it starts from Default. It replaces the file atomically, preserves its mode, and follows a
// symbolic link. It is an error if bundle is not a directory.
func Write(bundle string, opts Options, rows []syscalls.Row) error {
	info, err := os.Stat(bundle)
	if err != nil {
		return fmt.Errorf("bundle %s: %w (a bundle is a directory with rootfs and config.json in it: create it first)", bundle, err)
	}
	if !info.IsDir() {
		return fmt.Errorf("bundle %s: not a directory (a bundle is a directory with rootfs and config.json in it)", bundle)
	}
	path := filepath.Join(bundle, "config.json")
	// Rewrite the target of a symbolic link, and keep the link.
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	config, mode, err := readSpec(path)
	if err != nil {
		return err
	}
	rewritten, err := Rewrite(config, opts, rows)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return replaceFile(path, rewritten, mode)
}

// readSpec returns the configuration to start from, and the mode for the file.
func readSpec(path string) ([]byte, fs.FileMode, error) {
	config, mode, err := Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		config, err = Default()
		return config, 0o644, err
	}
	return config, mode, err
}

// replaceFile replaces the content of a file atomically: readers see the old or the new
// content, even if this process or the machine dies meanwhile.
func replaceFile(path string, content []byte, mode fs.FileMode) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".config.json-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(content)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
