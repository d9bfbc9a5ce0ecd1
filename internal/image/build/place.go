package build

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/image/build/dockerfile"
	"github.com/rootless-containers/subuidless/internal/image/build/files"
	"github.com/rootless-containers/subuidless/internal/isolation"
	"github.com/rootless-containers/subuidless/internal/launch"
)

// Where nothing can be mounted (isolation.Chroot), files are moved to where a mount would show
// them, and back when the command has ended. The root file system is a copy that is thrown away,
// so what was in their place is just moved away.

// refuseMounts returns an error if the instruction wants what needs namespaces or mounts.
func refuseMounts(r *dockerfile.Run) error {
	if r.Network == "none" {
		return fmt.Errorf("--network=none %w", isolation.ErrNeedsNamespaces)
	}
	for i := range r.Mounts {
		switch m := &r.Mounts[i]; {
		case m.Type == dockerfile.MountSSH:
			return fmt.Errorf("--mount=type=ssh %w", isolation.ErrNeedsNamespaces)
		case m.Type == dockerfile.MountTmpfs && m.Size > 0:
			return fmt.Errorf("--mount=type=tmpfs,size=... %w", isolation.ErrNeedsNamespaces)
		}
	}
	return nil
}

// placer moves files to the root file system of a RUN.
type placer struct {
	root    int    // descriptor of the root directory
	aside   string // an existing directory for what was in the place of mounts
	targets []string
	undo    []func() error
}

// place moves the files of l.Mounts to the root file system, instead of mounting them. Aside is a
// directory of the same file system. Change learns which paths belong to no layer. The caller
// calls undo after the command, also if there is an error.
func place(l *launch.RunOptions, change *files.Change, aside string) (undo func() error, err error) {
	root, err := unix.Open(l.Rootfs, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return func() error { return nil }, &os.PathError{Op: "open", Path: l.Rootfs, Err: err}
	}
	p := &placer{root: root, aside: aside}
	change.Skip = slices.Clone(change.Stubs) // the stage makes files there
	for i := range l.Mounts {
		if err := p.mount(&l.Mounts[i]); err != nil {
			return p.close, fmt.Errorf("mount on %s: %w", l.Mounts[i].Target, err)
		}
	}
	change.Stubs, change.Skip = append(change.Stubs, p.targets...), append(change.Skip, p.targets...)
	l.Mounts = nil
	return p.close, nil
}

// close moves all files back.
func (p *placer) close() error {
	var errs []error
	for _, f := range slices.Backward(p.undo) {
		errs = append(errs, f())
	}
	return errors.Join(append(errs, unix.Close(p.root))...)
}

// mount moves what m shows to its target.
func (p *placer) mount(m *launch.Mount) error {
	parent, base, err := p.target(m.Target)
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	dir, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", parent))
	if err != nil {
		return err
	}
	target := filepath.Join(dir, base)
	var st unix.Stat_t
	if err := unix.Fstat(parent, &st); err != nil {
		return err
	}
	if err := p.hide(target); err != nil {
		return err
	}
	switch {
	case m.Tmpfs:
		if err = os.Mkdir(target, 0o700); err == nil {
			err = os.Chmod(target, os.ModeSticky|0o777) // as the root of a new tmpfs
		}
	default:
		err = p.move(m.Source, target)
	}
	if err != nil {
		return err
	}
	// The target is no change of its directory.
	return unix.UtimesNanoAt(unix.AT_FDCWD, dir, []unix.Timespec{st.Atim, st.Mtim}, 0)
}

// target returns the directory and the name of the object at the path of a mount, as the container
// finds it: symbolic links do not lead out. It creates missing directories.
func (p *placer) target(name string) (parent int, base string, err error) {
	name = path.Clean("/" + name)
	if fd, err := p.open(name, unix.O_PATH); err == nil {
		// A symbolic link: the mount is where it leads to.
		real, err := p.nameOf(fd)
		unix.Close(fd)
		if err != nil {
			return -1, "", err
		}
		name = real
	}
	if parent, err = p.makeDir(path.Dir(name)); err != nil {
		return -1, "", err
	}
	real, err := p.nameOf(parent)
	if err != nil {
		unix.Close(parent)
		return -1, "", err
	}
	p.targets = append(p.targets, path.Join(real, path.Base(name)))
	return parent, path.Base(name), nil
}

// makeDir opens a directory of the root file system, which it creates if needed.
func (p *placer) makeDir(name string) (int, error) {
	fd, err := p.open(name, unix.O_PATH|unix.O_DIRECTORY)
	if err != unix.ENOENT || name == "/" {
		return fd, err
	}
	above, err := p.makeDir(path.Dir(name))
	if err != nil {
		return -1, err
	}
	defer unix.Close(above)
	if err := unix.Mkdirat(above, path.Base(name), 0o755); err != nil {
		return -1, fmt.Errorf("creating the directory %s: %w", name, err)
	}
	return p.open(name, unix.O_PATH|unix.O_DIRECTORY)
}

// open opens a file as the container finds it.
func (p *placer) open(name string, flags uint64) (int, error) {
	for {
		fd, err := unix.Openat2(p.root, name, &unix.OpenHow{Flags: flags | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
		if err != unix.EINTR && err != unix.EAGAIN {
			return fd, err
		}
	}
}

// nameOf returns the path in the root file system of an open file.
func (p *placer) nameOf(fd int) (string, error) {
	top, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", p.root))
	if err != nil {
		return "", err
	}
	full, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	return path.Clean("/" + strings.TrimPrefix(full, top)), err
}

// hide moves what is at target out of the root file system.
func (p *placer) hide(target string) error {
	dir, err := os.MkdirTemp(p.aside, "hidden-")
	if err != nil {
		return err
	}
	if err := os.Rename(target, filepath.Join(dir, "hidden")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// move moves a file, or what is in a directory, to target, until close.
func (p *placer) move(source, target string) error {
	st, err := os.Lstat(source)
	if err != nil {
		return err
	}
	if !st.IsDir() {
		p.undo = append(p.undo, func() error { return os.Rename(target, source) })
		return os.Rename(source, target)
	}
	if err := os.Mkdir(target, 0o700); err != nil {
		return err
	}
	p.undo = append(p.undo, func() error { return moveContent(target, source) })
	return moveContent(source, target)
}

// moveContent moves what is in the directory from to the directory to, which gets the owner and
// the mode of from. If it is interrupted, the rest can be moved later.
func moveContent(from, to string) error {
	var st unix.Stat_t
	if err := unix.Stat(from, &st); err != nil {
		return &os.PathError{Op: "stat", Path: from, Err: err}
	}
	if err := unix.Chown(to, int(st.Uid), int(st.Gid)); err != nil {
		return &os.PathError{Op: "chown", Path: to, Err: err}
	}
	if err := unix.Chmod(to, st.Mode&0o7777); err != nil {
		return &os.PathError{Op: "chmod", Path: to, Err: err}
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.Rename(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	t := []unix.Timespec{st.Atim, st.Mtim}
	return unix.UtimesNanoAt(unix.AT_FDCWD, to, t, 0)
}
