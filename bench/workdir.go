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

// bin contains the programs that the first stage built.
func (w workdir) bin() string { return filepath.Join(string(w), "bin") }

// fixtures contains what rows prepare once. No timed command changes it.
func (w workdir) fixtures() string { return filepath.Join(string(w), "fixtures") }

// run is the directory in which a timed command writes. It is empty at the start of each.
func (w workdir) run() string { return filepath.Join(string(w), "run") }

// state is HOME and TMPDIR of a timed command, and contains the database of its fakeroot.
// It is empty at the start of each.
func (w workdir) state() string { return filepath.Join(string(w), "state") }

// markdown is the file in which the second stage leaves the table for the first one,
// which may write outside of the work directory.
func (w workdir) markdown() string { return filepath.Join(string(w), "table.md") }

// svg is the same for the plot.
func (w workdir) svg() string { return filepath.Join(string(w), "plot.svg") }

// cgroup is a link to the cgroup of the second stage, if it has one.
func (w workdir) cgroup() string { return filepath.Join(string(w), "cgroup") }

// refresh creates empty directories for the next command.
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

// newWorkdir creates an empty work directory in parent.
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

// mustAllowExec returns an error if dir is mounted noexec, as container engines mount
// /dev/shm.
func mustAllowExec(dir string) error {
	const stNoExec = 0x8 // ST_NOEXEC of statfs(2)
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("-dir %s: %w", dir, err)
	}
	if fs.Flags&stNoExec != 0 {
		return fmt.Errorf("-dir %s is mounted noexec; pass another tmpfs", dir)
	}
	return nil
}
