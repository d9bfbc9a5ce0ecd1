package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// workdir is the directory that holds everything of one run of the harness.
type workdir string

// bin holds the programs that the first stage built.
func (w workdir) bin() string { return filepath.Join(string(w), "bin") }

// fixtures holds what rows prepare once and no timed command changes.
func (w workdir) fixtures() string { return filepath.Join(string(w), "fixtures") }

// run is where one timed command writes; it is fresh for each.
func (w workdir) run() string { return filepath.Join(string(w), "run") }

// state is HOME and TMPDIR of one timed command, and where its fakeroot keeps its books; it is fresh for each.
func (w workdir) state() string { return filepath.Join(string(w), "state") }

// markdown is where the second stage leaves the table for the first one, which may write elsewhere.
func (w workdir) markdown() string { return filepath.Join(string(w), "table.md") }

// refresh gives the next command empty directories.
func (w workdir) refresh() error {
	for _, dir := range []string{w.run(), w.state()} {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// newWorkdir makes the work directory, empty.
func newWorkdir(parent string) (workdir, error) {
	parent, err := filepath.Abs(parent)
	if err != nil {
		return "", err
	}
	if err := mustAllowExec(parent); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(parent, "subuidless-bench-")
	return workdir(dir), err
}

func (w workdir) makeLayout() error {
	return errors.Join(os.Mkdir(w.bin(), 0o755), os.Mkdir(w.fixtures(), 0o755))
}

// mustAllowExec finds out early: container engines mount /dev/shm noexec.
func mustAllowExec(dir string) error {
	const stNoExec = 0x8 // ST_NOEXEC of statfs(2)
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("-dir %s: %w", dir, err)
	}
	if fs.Flags&stNoExec != 0 {
		return fmt.Errorf("-dir %s is mounted noexec: name another tmpfs", dir)
	}
	return nil
}
