package layer

import (
	"errors"
	"fmt"
	"os"
	"path"
	"time"

	"golang.org/x/sys/unix"
)

// inode identifies a file of a layer.
type inode struct {
	layer int
	ino   uint64
}

// merger copies a stack of layers into one tree.
type merger struct {
	tree  *Stack
	to    int              // descriptor of the root of the copy
	links map[inode]string // the first path of each file with several hard links
}

// Merge copies the tree of the layers in dirs, the topmost first, into the empty directory
// to: as reflinks where the file system has them.
func Merge(dirs []string, to string) (err error) {
	tree, err := OpenStack(dirs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tree.Close()) }()
	fd, err := unix.Open(to, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: to, Err: err}
	}
	defer unix.Close(fd)
	root, err := tree.root()
	if err != nil {
		return err
	}
	m := &merger{tree: tree, to: fd, links: map[inode]string{}}
	return m.directory(root)
}

// directory copies what is in the directory dir, and then its attributes.
func (m *merger) directory(dir *node) error {
	to, err := openBeneath(m.to, dir.path, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return fmt.Errorf("/%s: %w", dir.path, err)
	}
	defer unix.Close(to)
	done := map[string]bool{}
	for _, i := range dir.in {
		names, err := m.names(i, dir.path)
		if err != nil {
			return err
		}
		for _, name := range names {
			if done[name] {
				continue
			}
			done[name] = true
			n, err := m.tree.child(dir, name)
			if errors.Is(err, unix.ENOENT) {
				continue // a whiteout
			}
			if err != nil {
				return err
			}
			if err := m.object(n, to, name); err != nil {
				return err
			}
		}
	}
	src, err := openBeneath(m.tree.dirs[dir.in[0]], dir.path, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return fmt.Errorf("/%s: %w", dir.path, err)
	}
	defer unix.Close(src)
	st, err := copyAttributes(src, to)
	if err != nil {
		return fmt.Errorf("copying /%s: %w", dir.path, err)
	}
	return setTimesOf(to, time.Unix(st.Atim.Unix()), time.Unix(st.Mtim.Unix()))
}

func (m *merger) names(layer int, dir string) ([]string, error) {
	fd, err := openBeneath(m.tree.dirs[layer], dir, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, fmt.Errorf("/%s: %w", dir, err)
	}
	f := os.NewFile(uintptr(fd), dir)
	defer f.Close()
	return f.Readdirnames(-1)
}

// object copies the object n as name in the directory to.
func (m *merger) object(n *node, to int, name string) error {
	if n.kind() == unix.S_IFDIR {
		if err := unix.Mkdirat(to, name, 0o700); err != nil {
			return fmt.Errorf("copying /%s: mkdir: %w", n.path, err)
		}
		return m.directory(n)
	}
	id := inode{n.in[0], n.stat.Ino}
	if first, ok := m.links[id]; ok {
		dir, base := path.Split(first)
		from, err := openBeneath(m.to, path.Clean(dir), unix.O_PATH|unix.O_DIRECTORY)
		if err != nil {
			return fmt.Errorf("copying /%s: %w", n.path, err)
		}
		defer unix.Close(from)
		if err := unix.Linkat(from, base, to, name, 0); err != nil {
			return fmt.Errorf("copying /%s: link: %w", n.path, err)
		}
		return nil
	}
	if n.stat.Nlink > 1 {
		m.links[id] = n.path
	}
	return copyFile(m.tree.dirs[n.in[0]], n.path, to, name)
}
