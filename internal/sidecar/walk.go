package sidecar

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// Tree is a directory that a command walks.
type Tree struct {
	Path string // absolute
	Name string // as the user has written it
}

// NewTree returns the tree of the directory that name leads to.
func NewTree(name string) (Tree, error) {
	path, err := filepath.Abs(name)
	if err != nil {
		return Tree{}, err
	}
	st, err := os.Stat(path)
	if err != nil {
		return Tree{}, err
	}
	if !st.IsDir() {
		return Tree{}, &os.PathError{Op: "walk", Path: name, Err: unix.ENOTDIR}
	}
	return Tree{Path: path, Name: name}, nil
}

// inode is an inode that a walk has found.
type inode struct {
	path string // relative to the tree; "." for the tree itself
	fd   int    // O_PATH descriptor, valid during the visit
	stat unix.Stat_t
}

func (i *inode) kind() uint32 { return i.stat.Mode & unix.S_IFMT }

// isSpecial reports whether the inode cannot have user.* attributes.
func (i *inode) isSpecial() bool { return i.kind() != unix.S_IFREG && i.kind() != unix.S_IFDIR }

// walker walks a tree without leaving its mount.
type walker struct {
	tree       Tree
	mount      uint64
	visit      func(*inode) error
	unreadable func(path string, err error)
}

// walk calls visit for each inode of the tree: directories before what they hold, names in
// order. It does not leave the mount of the tree. Unreadable is called for what cannot be
// visited. The error is that of opening the tree, or of visit.
func (t Tree) walk(visit func(*inode) error, unreadable func(path string, err error)) error {
	fd, err := unix.Open(t.Path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: t.Name, Err: err}
	}
	w := walker{tree: t, mount: sys.MountID(fd), visit: visit, unreadable: unreadable}
	return w.inode(fd, ".")
}

// inode visits the inode of the descriptor fd, and closes it.
func (w *walker) inode(fd int, path string) error {
	defer unix.Close(fd)
	if sys.MountID(fd) != w.mount {
		return nil
	}
	i := inode{path: path, fd: fd}
	if err := unix.Fstat(fd, &i.stat); err != nil {
		return &os.PathError{Op: "stat", Path: w.shown(path), Err: err}
	}
	if err := w.visit(&i); err != nil {
		return err
	}
	if i.kind() != unix.S_IFDIR {
		return nil
	}
	names, err := readNames(fd)
	if err != nil {
		w.unreadable(w.shown(path), err)
		return nil
	}
	for _, name := range names {
		child, err := unix.Openat(fd, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed in between
		}
		below := filepath.Join(path, name)
		if err != nil {
			w.unreadable(w.shown(below), err)
			continue
		}
		if err := w.inode(child, below); err != nil {
			return err
		}
	}
	return nil
}

// shown returns path as the user would write it.
func (w *walker) shown(path string) string { return filepath.Join(w.tree.Name, path) }

// readNames returns the names in the directory of an O_PATH descriptor, in order.
func readNames(fd int) ([]string, error) {
	own, err := unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	dir := os.NewFile(uintptr(own), "directory")
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

// index finds the entries of inodes. Most inodes have none, and their keys need not be read.
type index map[uint64][]*owner.Entry // by the inode's number

// newIndex returns the index of the entries. They stay valid with it.
func newIndex(entries []owner.Entry) index {
	idx := index{}
	for n := range entries {
		e := &entries[n]
		idx[e.Inode.Inode] = append(idx[e.Inode.Inode], e)
	}
	return idx
}

// lookUp returns the entries with the inode's number, and its key if there are any.
func (idx index) lookUp(i *inode) ([]*owner.Entry, owner.Key, error) {
	candidates := idx[i.stat.Ino]
	if candidates == nil {
		return nil, owner.Key{}, nil
	}
	k, err := owner.KeyOf(i.fd)
	return candidates, k, err
}
