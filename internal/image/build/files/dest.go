package files

import (
	"archive/tar"
	"errors"
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/image/layer"
)

// dest is the file system that files are copied to: the layers, and what has been added so far.
type dest struct {
	tree *layer.Tree
	made map[string]byte // types of the entries of the new layer, by their paths
}

// maxSymlinks is the number of symbolic links that the kernel follows in a path before it
// returns ELOOP: path_resolution(7).
const maxSymlinks = 40

// kind returns the type of the object at name, a path without symbolic links, as a type of tar
// entries; 0 means that there is none. Types other than files, directories and links are not
// distinguished.
func (d *dest) kind(name string) (byte, error) {
	if kind, ok := d.made[name]; ok {
		return kind, nil
	}
	o, err := d.tree.Lookup(name, false)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		if name == "." {
			return tar.TypeDir, nil // an image without layers
		}
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("/%s: %w", name, err)
	}
	switch o.Kind() {
	case unix.S_IFDIR:
		return tar.TypeDir, nil
	case unix.S_IFLNK:
		return tar.TypeSymlink, nil
	}
	return tar.TypeReg, nil
}

// resolve returns the path without symbolic links that name leads to. The last components need
// not exist.
func (d *dest) resolve(name string) (string, error) {
	at, links := ".", 0
	rest := strings.Split(name, "/")
	for len(rest) > 0 {
		component := rest[0]
		rest = rest[1:]
		if component == "" || component == "." {
			continue
		}
		next := path.Join(at, component)
		if component == ".." {
			at = path.Dir(at)
			continue
		}
		kind, err := d.kind(next)
		if err != nil {
			return "", err
		}
		if _, added := d.made[next]; kind != tar.TypeSymlink || added {
			at = next
			continue
		}
		if links++; links > maxSymlinks {
			return "", fmt.Errorf("/%s: %w", next, unix.ELOOP)
		}
		o, err := d.tree.Lookup(next, false)
		if err != nil {
			return "", err
		}
		target, err := d.tree.Readlink(o)
		if err != nil {
			return "", err
		}
		if path.IsAbs(target) {
			at = "."
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return at, nil
}
