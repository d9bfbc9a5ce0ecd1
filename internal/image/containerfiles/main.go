package containerfiles

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/image/helper"
	"github.com/rootless-containers/subuidless/internal/image/layer"
	"github.com/rootless-containers/subuidless/internal/owner"
)

// Main is the main function of the process.
func Main() int {
	results := json.NewEncoder(os.NewFile(fdResult, "result"))
	p := &process{report: func(r result) { _ = results.Encode(r) }} // if the parent is gone, there is nobody to tell
	r, err := p.main()
	if err != nil {
		r = &result{Error: err.Error()}
	}
	p.report(*r)
	if err != nil {
		return 1
	}
	return 0
}

// process is the state of the process.
type process struct {
	owners *owner.Store // nil: no records are needed
	report func(result)
}

func (p *process) warn(message string) { p.report(result{Warning: message}) }

func (p *process) main() (*result, error) {
	for fd := fdJob; fd <= fdResult; fd++ {
		unix.CloseOnExec(fd)
	}
	in := os.NewFile(fdJob, "job")
	var j job
	if err := json.NewDecoder(in).Decode(&j); err != nil {
		return nil, err
	}
	unix.Umask(0)
	var err error
	if p.owners, err = helper.OpenOwners(j.Root.Native); err != nil {
		return nil, err
	}
	root, err := openRoot(j.Root)
	if err == nil {
		// Package sys expects it.
		err = os.Chdir("/proc")
	}
	if err != nil {
		return nil, err
	}
	return p.do(&j, root)
}

// openRoot returns a descriptor of the root directory; -1 if the job needs none.
func openRoot(r Root) (int, error) {
	switch {
	case r.Pid != 0:
		return fdRoot, nil
	case r.Path == "":
		return -1, nil
	}
	if r.Overlay != nil {
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return -1, fmt.Errorf("making the mounts private: %w", err)
		}
	}
	if err := r.Overlay.On(r.Path); err != nil {
		return -1, err
	}
	fd, err := unix.Open(r.Path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: r.Path, Err: err}
	}
	return fd, nil
}

func (p *process) do(j *job, root int) (*result, error) {
	switch {
	case j.Archive != nil:
		return new(result), p.archive(root, j.Archive)
	case j.Extract != nil:
		dir, err := openIn(root, *j.Extract, unix.O_PATH|unix.O_DIRECTORY)
		if err != nil {
			return nil, err
		}
		u := &layer.Unpacker{Owners: p.owners, Limits: layer.DefaultLimits, Warn: p.warn}
		return new(result), u.Extract(dir, os.Stdin)
	case j.Stat != nil:
		st, err := stat(root, *j.Stat)
		return &result{Stat: st}, err
	case j.Changes != nil:
		out := json.NewEncoder(os.Stdout)
		return new(result), j.Changes.Each(p.owners, func(c layer.Change) error { return out.Encode(c) })
	}
	return nil, errors.New("a job without a task")
}

// archive writes files of the container to the standard output.
func (p *process) archive(root int, j *archiveJob) error {
	name := path.Clean("/" + j.Name)
	if j.Follow {
		fd, err := openIn(root, name, unix.O_PATH)
		if err != nil {
			return err
		}
		// The name without links, as the kernel found it.
		if name, err = nameIn(root, fd); err != nil {
			return err
		}
	}
	dir, base := root, "."
	if name != "/" {
		var err error
		if dir, err = openIn(root, path.Dir(name), unix.O_PATH|unix.O_DIRECTORY); err != nil {
			return err
		}
		base = path.Base(name)
	}
	tree := layer.OpenTree(dir, p.owners)
	defer tree.Close()
	o, err := tree.Lookup(base, false)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	w := layer.NewWriter(os.Stdout, p.warn)
	w.OneFileSystem, w.MountPoints = j.OneFS, j.MountPoints
	write := w.All
	if j.As == "" {
		write = w.Children
	}
	if err := write(tree, o, j.As); err != nil {
		return err
	}
	return w.Close()
}

// openIn opens the file name as a process whose root is the directory root does.
func openIn(root int, name string, flags uint64) (int, error) {
	for {
		fd, err := unix.Openat2(root, name, &unix.OpenHow{
			Flags:   flags | unix.O_CLOEXEC,
			Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
		})
		switch err {
		case nil:
			return fd, nil
		case unix.EINTR, unix.EAGAIN:
		default:
			return -1, fmt.Errorf("%s: %w", name, err)
		}
	}
}

// nameIn returns the absolute path below root of the object that fd refers to.
func nameIn(root, fd int) (string, error) {
	top, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", root))
	if err != nil {
		return "", err
	}
	full, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil {
		return "", err
	}
	return path.Clean("/" + strings.TrimPrefix(full, strings.TrimSuffix(top, "/"))), nil
}

// stat returns what is at the name of j.
func stat(root int, j statJob) (*Stat, error) {
	name := path.Clean("/" + j.Name)
	flags := uint64(unix.O_PATH)
	if !j.Follow {
		flags |= unix.O_NOFOLLOW
	}
	fd, err := openIn(root, name, flags)
	if errors.Is(err, unix.ENOENT) {
		return &Stat{Name: path.Base(name)}, nil
	}
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	s := &Stat{Name: path.Base(name), Mode: info.Mode(), Found: true}
	if s.Mode&os.ModeSymlink != 0 {
		buf := make([]byte, unix.PathMax)
		n, err := unix.Readlinkat(fd, "", buf)
		if err != nil {
			return nil, fmt.Errorf("readlink %s: %w", name, err)
		}
		s.Link = string(buf[:n])
	}
	return s, nil
}
