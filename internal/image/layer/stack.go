package layer

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Stack is a stack of unpacked layers. It shows the tree that overlayfs would show.
type Stack struct {
	dirs []int // O_PATH descriptors of the layers' directories, the topmost first
}

// OpenStack opens the layers in dirs, the topmost first.
func OpenStack(dirs []string) (*Stack, error) {
	s := new(Stack)
	for _, dir := range dirs {
		fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("layer %s: %w", dir, err), s.Close())
		}
		s.dirs = append(s.dirs, fd)
	}
	return s, nil
}

// Close closes the layers.
func (s *Stack) Close() error {
	var errs []error
	for _, fd := range s.dirs {
		errs = append(errs, unix.Close(fd))
	}
	s.dirs = nil
	return errors.Join(errs...)
}

// node is an object of the merged tree.
type node struct {
	path string // without symbolic links; "." is the root
	in   []int  // indices of the layers that contribute, the topmost first; one unless a directory
	stat unix.Stat_t
}

func (n *node) kind() uint32 { return n.stat.Mode & unix.S_IFMT }

// root returns the root directory.
func (s *Stack) root() (*node, error) {
	n := &node{path: "."}
	for i := range s.dirs {
		n.in = append(n.in, i)
	}
	if len(n.in) == 0 {
		return nil, unix.ENOENT
	}
	return n, unix.Fstatat(s.dirs[0], ".", &n.stat, 0)
}

// child returns the object name in the directory dir. The error is ENOENT if there is none,
// and ENOTDIR if dir is no directory.
func (s *Stack) child(dir *node, name string) (*node, error) {
	if dir.kind() != unix.S_IFDIR {
		return nil, unix.ENOTDIR
	}
	n := &node{path: path.Join(dir.path, name)}
	for _, i := range dir.in {
		var st unix.Stat_t
		err := unix.Fstatat(s.dirs[i], n.path, &st, unix.AT_SYMLINK_NOFOLLOW)
		if err == unix.ENOENT {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", n.path, err)
		}
		isDir := st.Mode&unix.S_IFMT == unix.S_IFDIR
		if isWhiteout(s.dirs[i], n.path, &st) || len(n.in) > 0 && !isDir {
			break
		}
		if len(n.in) == 0 {
			n.stat = st
		}
		n.in = append(n.in, i)
		if !isDir {
			break
		}
		opaque, err := isOpaque(s.dirs[i], n.path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", n.path, err)
		}
		if opaque {
			break
		}
	}
	if len(n.in) == 0 {
		return nil, unix.ENOENT
	}
	return n, nil
}

// maxSymlinks is the number of symbolic links that the kernel follows in a path before it
// returns ELOOP: path_resolution(7).
const maxSymlinks = 40

// resolve returns the object at name, as a process whose root is the stack finds it. With
// follow, it follows a symbolic link in the last component.
func (s *Stack) resolve(name string, follow bool) (*node, error) {
	root, err := s.root()
	if err != nil {
		return nil, err
	}
	trail := []*node{root} // from the root to the current directory
	links := 0
	rest := strings.Split(name, "/")
	for len(rest) > 0 {
		component := rest[0]
		rest = rest[1:]
		switch component {
		case "", ".":
			continue
		case "..":
			trail = trail[:max(1, len(trail)-1)]
			continue
		}
		at := trail[len(trail)-1]
		n, err := s.child(at, component)
		if err != nil {
			return nil, err
		}
		last := len(rest) == 0
		if n.kind() != unix.S_IFLNK || last && !follow {
			trail = append(trail, n)
			continue
		}
		if links++; links > maxSymlinks {
			return nil, unix.ELOOP
		}
		target, err := s.readlink(n)
		if err != nil {
			return nil, err
		}
		if path.IsAbs(target) {
			trail = trail[:1]
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return trail[len(trail)-1], nil
}

func (s *Stack) readlink(n *node) (string, error) { return readlinkAt(s.dirs[n.in[0]], n.path) }

func readlinkAt(dir int, name string) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(dir, name, buf)
	if err != nil {
		return "", fmt.Errorf("readlink %s: %w", name, err)
	}
	return string(buf[:n]), nil
}

// Open opens the file name for reading, as a process whose root is the stack does. Flags are
// further flags of open(2).
func (s *Stack) Open(name string, flags uint64) (*os.File, error) {
	n, err := s.resolve(name, true)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	fd, err := openBeneath(s.dirs[n.in[0]], n.path, flags)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

// openBeneath opens name, which has no symbolic links, below the directory dir.
func openBeneath(dir int, name string, flags uint64) (int, error) {
	for {
		fd, err := unix.Openat2(dir, name, &unix.OpenHow{
			Flags:   flags | unix.O_CLOEXEC,
			Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
		})
		if err != unix.EINTR && err != unix.EAGAIN {
			return fd, err
		}
	}
}
