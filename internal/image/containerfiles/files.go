// Package containerfiles reads and writes the files of containers from outside, in a process of
// its own, and lists what a container has changed.
//
// The process is this program again. For a container that runs, it enters the container's user
// namespace; otherwise it creates one, in which it mounts the container's root file system. It
// is root there, outside of the filter, and reads and writes records itself: see package layer.
// Where no records are needed, it stays in the user namespace of the caller.
package containerfiles

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/image/layer"
	"github.com/rootless-containers/subuidless/internal/image/overlay"
	"github.com/rootless-containers/subuidless/internal/userns"
)

// Name is argv[0] of the process: one with this name must call Main.
const Name = "subuidless-image-container-files"

// Root is the root file system of a container.
type Root struct {
	Pid     int            // of a process of the container, if it runs; 0: it does not
	Path    string         // where the files are, if it does not run
	Overlay *overlay.Mount // what to mount on Path first; nil: nothing

	// Native means that no records are needed: isolation.Mode.NativeOwners.
	Native bool
}

// Stat is what is known about a file of a container.
type Stat struct {
	Name  string      // the base name; of the link, if it is one
	Mode  os.FileMode // type and permissions
	Found bool
	Link  string // the target of a symbolic link
}

// job is what the process has to do. Exactly one of the pointers is set.
type job struct {
	Root    Root
	Archive *archiveJob    `json:",omitempty"`
	Extract *string        `json:",omitempty"` // the directory to extract to
	Stat    *statJob       `json:",omitempty"`
	Changes *layer.Changed `json:",omitempty"`
}

type archiveJob struct {
	Name   string // absolute path in the container
	As     string // its name in the archive; empty: only what is below it
	Follow bool   // follow a symbolic link in the last component
	OneFS  bool   // do not read what is mounted
	// MountPoints are absolute paths that count as mounted.
	MountPoints []string
}

type statJob struct {
	Name   string
	Follow bool
}

// result is the last thing that the process reports.
type result struct {
	Warning string `json:",omitempty"`
	Error   string `json:",omitempty"`
	Stat    *Stat  `json:",omitempty"`
}

// Archive writes the file name of the container, and what is below it, to w as a tar archive, in
// which it is called as. Warn is called with what cannot be kept.
func Archive(root Root, name, as string, follow bool, w io.Writer, warn func(string)) error {
	_, err := run(job{Root: root, Archive: &archiveJob{Name: name, As: as, Follow: follow}}, nil, w, warn)
	return err
}

// Export writes all files of the container to w, except for what is mounted. The absolute paths
// mountPoints count as that, too.
func Export(root Root, mountPoints []string, w io.Writer, warn func(string)) error {
	_, err := run(job{Root: root, Archive: &archiveJob{Name: "/", OneFS: true, MountPoints: mountPoints}}, nil, w, warn)
	return err
}

// Extract unpacks a tar archive into the directory dir of the container.
func Extract(root Root, dir string, r io.Reader, warn func(string)) error {
	_, err := run(job{Root: root, Extract: &dir}, r, nil, warn)
	return err
}

// StatFile returns what is at name in the container.
func StatFile(root Root, name string, follow bool) (*Stat, error) {
	r, err := run(job{Root: root, Stat: &statJob{name, follow}}, nil, nil, func(string) {})
	if err != nil {
		return nil, err
	}
	return r.Stat, nil
}

// Changes calls f with each change.
func Changes(changed layer.Changed, native bool, f func(layer.Change) error) error {
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, err := run(job{Root: Root{Native: native}, Changes: &changed}, nil, w, func(string) {})
		w.CloseWithError(err)
		done <- err
	}()
	for d := json.NewDecoder(r); ; {
		var c layer.Change
		err := d.Decode(&c)
		if err == nil {
			err = f(c)
		}
		if err != nil {
			r.CloseWithError(err)
			if e := <-done; e != nil || err == io.EOF {
				return e
			}
			return err
		}
	}
}

// The descriptors that the process inherits, besides the standard streams.
const (
	fdJob = 3 + iota
	fdResult
	fdRoot
)

// run starts the process with a job, its standard input from in and its standard output to out.
func run(j job, in io.Reader, out io.Writer, warn func(string)) (*result, error) {
	var opened []*os.File // closed in any case
	defer func() {
		for _, f := range opened {
			f.Close()
		}
	}()
	pipe := func() (r, w *os.File, err error) {
		if r, w, err = os.Pipe(); err == nil {
			opened = append(opened, r, w)
		}
		return r, w, err
	}
	jobRead, jobWrite, err := pipe()
	if err != nil {
		return nil, err
	}
	resultRead, resultWrite, err := pipe()
	if err != nil {
		return nil, err
	}
	inRead, inWrite, err := pipe()
	if err != nil {
		return nil, err
	}
	outRead, outWrite, err := pipe()
	if err != nil {
		return nil, err
	}
	stdio := []*os.File{inRead, outWrite, os.Stderr, jobRead, resultWrite}
	pid, err := start(j.Root, stdio)
	if err != nil {
		return nil, err
	}
	for _, f := range []*os.File{jobRead, resultWrite, inRead, outWrite} {
		f.Close()
	}
	copied := make(chan error, 2)
	go func() {
		var err error
		if in != nil {
			_, err = io.Copy(inWrite, in)
		}
		inWrite.Close()
		if errors.Is(err, unix.EPIPE) {
			err = nil // the process has ended, and says why
		}
		copied <- err
	}()
	go func() {
		var err error
		if out != nil {
			_, err = io.Copy(out, outRead)
		}
		outRead.Close()
		copied <- err
	}()
	err = json.NewEncoder(jobWrite).Encode(j)
	jobWrite.Close()
	last := result{Error: "the process that reads and writes files of containers has been killed"}
	for d := json.NewDecoder(resultRead); err == nil; {
		var r result
		if e := d.Decode(&r); e != nil {
			break
		}
		if r.Warning != "" {
			warn(r.Warning)
			continue
		}
		last = r
	}
	_, waitErr := userns.Wait(pid)
	errs := []error{err, waitErr, <-copied}
	if in == nil || last.Error == "" {
		errs = append(errs, <-copied) // otherwise, in may still block
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if last.Error != "" {
		return nil, errors.New(last.Error)
	}
	return &last, nil
}

// start starts the process in the namespaces that the root needs.
func start(root Root, files []*os.File) (pid int, err error) {
	argv := []string{Name}
	if root.Pid == 0 {
		attr := &syscall.ProcAttr{Env: os.Environ()}
		switch {
		case !root.Native:
			attr.Sys = userns.NewProcAttr(unix.CLONE_NEWNS)
		case root.Overlay != nil:
			attr.Sys = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
		default:
			attr.Sys = new(syscall.SysProcAttr)
		}
		attr.Sys.Setpgid = true // the terminal must not interrupt it before its parent
		for _, f := range files {
			attr.Files = append(attr.Files, f.Fd())
		}
		pid, err = syscall.ForkExec("/proc/self/exe", argv, attr)
		runtime.KeepAlive(files)
		if err != nil {
			return 0, userns.Explain(fmt.Errorf("creating a user namespace for the files of the container: %w", err))
		}
		return pid, nil
	}
	proc := "/proc/" + strconv.Itoa(root.Pid)
	top, err := os.OpenFile(proc+"/root", unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return 0, fmt.Errorf("the root file system of the container: %w", err)
	}
	defer top.Close()
	cmd := userns.Command{Namespace: -1, Path: "/proc/self/exe", Args: argv, Env: os.Environ()}
	if !root.Native {
		ns, err := os.Open(proc + "/ns/user")
		if err != nil {
			return 0, fmt.Errorf("the user namespace of the container: %w", err)
		}
		defer ns.Close()
		cmd.Namespace = int(ns.Fd())
	}
	for _, f := range append(files, top) {
		cmd.Files = append(cmd.Files, int(f.Fd()))
	}
	pid, err = cmd.Start()
	runtime.KeepAlive(files)
	return pid, err
}
