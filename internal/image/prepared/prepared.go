// Package prepared runs containers whose root file system the image program has prepared. The
// main program runs them: see package program.
package prepared

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/image/layer"
	"github.com/rootless-containers/subuidless/internal/image/running"
	"github.com/rootless-containers/subuidless/internal/image/storedir"
	"github.com/rootless-containers/subuidless/internal/launch"
	"github.com/rootless-containers/subuidless/internal/program"
)

// Container is a container that is ready to run.
type Container struct {
	// Dir is the directory of a container of a store (package storedir), which says how to run
	// it; empty: see Launch.
	Dir    string
	Launch launch.RunOptions
	// Lock is an open file description that the process that runs the container keeps open
	// until it ends, with Dir the container's lock; nil: none.
	Lock *os.File `json:"-"`
}

// description is what the main program gets.
type description struct {
	Container
	LockFD int // 0: none
}

// Exec runs the container in place of the calling process. It returns only if it fails.
func (c Container) Exec(main program.Main) error {
	d := description{Container: c}
	if c.Lock != nil {
		// The main program inherits it.
		if _, err := unix.FcntlInt(c.Lock.Fd(), unix.F_SETFD, 0); err != nil {
			return fmt.Errorf("the lock of the container: %w", err)
		}
		d.LockFD = int(c.Lock.Fd())
	}
	f, err := d.file()
	if err != nil {
		return err
	}
	return main.Exec(f)
}

// Command returns the command that runs the container in a child process. After it has been
// started, the caller closes the file input, which the child has inherited.
func (c Container) Command(main program.Main) (cmd *exec.Cmd, input *os.File, err error) {
	d := description{Container: c}
	if c.Lock != nil {
		d.LockFD = 4
	}
	if input, err = d.file(); err != nil {
		return nil, nil, err
	}
	cmd = main.Command(input)
	if c.Lock != nil {
		cmd.ExtraFiles = append(cmd.ExtraFiles, c.Lock)
	}
	return cmd, input, nil
}

// file returns an anonymous file with the description.
func (d description) file() (*os.File, error) {
	f, err := program.Memfd("container", 0)
	if err != nil {
		return nil, err
	}
	err = json.NewEncoder(f).Encode(d)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("describing the container: %w", err), f.Close())
	}
	return f, nil
}

// Run runs the container that the file describes, and returns its exit status as launch.Run
// does.
func Run(f *os.File) (status int, err error) {
	var d description
	if err := errors.Join(json.NewDecoder(f).Decode(&d), f.Close()); err != nil {
		return launch.StatusFailed, fmt.Errorf("reading the description of the container: %w", err)
	}
	if d.LockFD != 0 {
		// The kernel unlocks it when this process ends. Nobody else inherits it.
		unix.CloseOnExec(d.LockFD)
	}
	if d.Dir != "" {
		return running.Run(d.Dir, storedir.Lock{File: os.NewFile(uintptr(d.LockFD), "lock")})
	}
	if l := d.Launch.Layers; l != nil {
		var lower []string
		for _, name := range l.Lower {
			lower = append(lower, filepath.Join(l.Dir, name))
		}
		stack, err := layer.OpenStack(lower)
		if err != nil {
			return launch.StatusFailed, err
		}
		defer stack.Close()
		l.Open = stack.Open
	}
	return launch.Run(d.Launch)
}
