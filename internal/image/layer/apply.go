package layer

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
)

// The names with which the image-spec marks removed files (layer.md, "Whiteouts").
const (
	whiteoutPrefix = ".wh."
	metaPrefix     = ".wh..wh."
	opaqueMarker   = ".wh..wh..opq"
)

// Unpacker unpacks one layer.
type Unpacker struct {
	Owners *owner.Store // stores the records, with 0:0 as Mapped; nil: see the package comment
	Limits Limits
	Warn   func(message string) // is called with what cannot be kept; not nil

	tree  Stack // the new layer, and below it those that it is based on
	new   int   // descriptor of the new layer
	count int64
	bytes int64

	// parents has the directories of the new layer by the names that lead to them.
	parents map[string]string
	current int    // O_PATH descriptor of the directory curPath; -1: none
	curPath string // its path in the new layer
	times   map[string]time.Time
	buf     []byte
	own     bool // the layer has marks of our own
	live    bool // see Extract
}

// Apply unpacks the layer in archive, a tar archive, into the empty directory dir. The layers
// that it is based on are in lower, the topmost first. If it fails, dir has a part of the layer.
func (u *Unpacker) Apply(dir string, lower []string, archive io.Reader) (err error) {
	s, err := OpenStack(append([]string{dir}, lower...))
	if err != nil {
		return err
	}
	return u.apply(s, archive)
}

// Extract unpacks an archive into the directory that the descriptor dir refers to, and closes
// it. The directory belongs to a container: files are replaced, except for directories by
// something else and vice versa, and names of whiteouts mean nothing.
func (u *Unpacker) Extract(dir int, archive io.Reader) error {
	u.live = true
	return u.apply(&Stack{dirs: []int{dir}}, archive)
}

func (u *Unpacker) apply(s *Stack, archive io.Reader) (err error) {
	u.tree, u.new = *s, s.dirs[0]
	u.parents, u.times, u.current = map[string]string{}, map[string]time.Time{}, -1
	u.buf, u.own = make([]byte, 256<<10), false
	defer func() {
		if u.current >= 0 {
			unix.Close(u.current)
		}
		err = errors.Join(err, u.tree.Close())
	}()
	if !u.live {
		if err := u.startRoot(); err != nil {
			return err
		}
	}
	for tr := tar.NewReader(archive); ; {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("reading the layer's archive: %w", err)
		}
		if u.count++; u.count > u.Limits.Entries {
			return exceeds("entries", u.Limits.Entries)
		}
		if err := u.entry(h, tr); err != nil {
			return fmt.Errorf("unpacking %q: %w", h.Name, err)
		}
	}
	if u.own {
		if err := u.markOwn(); err != nil {
			return err
		}
	}
	return u.setTimes()
}

// startRoot gives the root directory the attributes of that of the layer below.
func (u *Unpacker) startRoot() error {
	if len(u.tree.dirs) == 1 {
		return unix.Fchmodat(u.new, ".", 0o755, 0)
	}
	return u.copyDirAttributes(u.tree.dirs[1], ".")
}

// entry unpacks one entry.
func (u *Unpacker) entry(h *tar.Header, r io.Reader) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	name, err := cleanName(h.Name)
	if err != nil {
		return err
	}
	if name == "." {
		if h.Typeflag != tar.TypeDir {
			return errors.New("the root of a layer must be a directory")
		}
		return u.directoryAttributes(h, ".")
	}
	dir, base := path.Split(name)
	parent, err := u.parent(path.Clean(dir))
	if err != nil {
		return err
	}
	if strings.HasPrefix(base, whiteoutPrefix) && !u.live {
		return u.whiteout(parent, base)
	}
	return u.create(h, r, parent, base)
}

// cleanName returns the name of an entry as a path relative to the root.
func cleanName(name string) (string, error) {
	if slices.Contains(strings.Split(name, "/"), "..") {
		return "", errors.New(`the path has a component "..", which could lead out of the root file system`)
	}
	return path.Clean(strings.TrimLeft(name, "/")), nil
}

// parent returns the path, in the new layer, of the directory that name leads to in the image.
// It creates the directory there, with the attributes that it has below, or as root's.
func (u *Unpacker) parent(name string) (string, error) {
	if name == "." {
		return ".", nil
	}
	if known, ok := u.parents[name]; ok {
		return known, nil
	}
	dir, base := path.Split(name)
	above, err := u.parent(path.Clean(dir))
	if err != nil {
		return "", err
	}
	at, err := u.tree.resolve(above+"/"+base, true)
	switch {
	case errors.Is(err, unix.ENOENT):
		if _, err := u.tree.resolve(above+"/"+base, false); err == nil {
			return "", fmt.Errorf("/%s is a symbolic link to nothing, but the archive has files below it", name)
		}
		if err := u.mkdir(above, base); err != nil {
			return "", err
		}
		at = &node{path: path.Join(above, base)}
	case err != nil:
		return "", fmt.Errorf("/%s: %w", name, err)
	case at.kind() != unix.S_IFDIR:
		return "", fmt.Errorf("/%s: %w, but the archive has files below it", name, unix.ENOTDIR)
	default:
		if err := u.copyUpDirs(at.path); err != nil {
			return "", err
		}
	}
	u.parents[name] = at.path
	return at.path, nil
}

// copyUpDirs creates the directory real, and those that lead to it, in the new layer unless
// they exist there, with their attributes of lower layers.
func (u *Unpacker) copyUpDirs(real string) error {
	at := "."
	for component := range strings.SplitSeq(real, "/") {
		next := path.Join(at, component)
		n, err := u.tree.resolve(next, false)
		if err != nil {
			return fmt.Errorf("/%s: %w", next, err)
		}
		if n.in[0] != 0 {
			dirfd, err := u.open(at)
			if err != nil {
				return err
			}
			if err := unix.Mkdirat(dirfd, component, 0o700); err != nil {
				return fmt.Errorf("mkdir: %w", err)
			}
			if err := u.copyDirAttributes(u.tree.dirs[n.in[0]], next); err != nil {
				return err
			}
		}
		at = next
	}
	return nil
}

// copyDirAttributes gives the directory name of the new layer the attributes that it has in
// the layer from.
func (u *Unpacker) copyDirAttributes(from int, name string) error {
	src, err := openBeneath(from, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(src)
	dst, err := openBeneath(u.new, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(dst)
	st, err := copyAttributes(src, dst)
	if err != nil {
		return err
	}
	u.times[name] = time.Unix(st.Mtim.Unix())
	return nil
}

// open returns an O_PATH descriptor of the directory name of the new layer, which is valid
// until the next call.
func (u *Unpacker) open(name string) (int, error) {
	if u.current >= 0 {
		if u.curPath == name {
			return u.current, nil
		}
		unix.Close(u.current)
		u.current = -1
	}
	fd, err := openBeneath(u.new, name, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return -1, fmt.Errorf("/%s: %w", name, err)
	}
	u.current, u.curPath = fd, name
	return fd, nil
}

// whiteout removes what base, a whiteout of the directory parent, names.
func (u *Unpacker) whiteout(parent, base string) error {
	if base == opaqueMarker {
		return u.setOpaque(parent)
	}
	if strings.HasPrefix(base, metaPrefix) {
		return nil // of aufs, without a meaning for others
	}
	name := strings.TrimPrefix(base, whiteoutPrefix)
	if name == "" || name == "." || name == ".." {
		return errors.New("a whiteout that names no file")
	}
	below, err := u.isBelow(parent, name)
	if err != nil || !below {
		return err
	}
	dirfd, err := u.open(parent)
	if err != nil {
		return err
	}
	// image-spec: "Files that are present in the same layer as a whiteout file can only be
	// hidden by whiteout files in subsequent layers."
	var st unix.Stat_t
	switch err := unix.Fstatat(dirfd, name, &st, unix.AT_SYMLINK_NOFOLLOW); {
	case err == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR:
		return u.setOpaque(path.Join(parent, name))
	case err == nil:
		return nil
	case err != unix.ENOENT:
		return err
	}
	own, err := makeWhiteout(dirfd, name)
	u.own = u.own || own
	return err
}

// isBelow reports whether the layers below have the name in the directory parent.
func (u *Unpacker) isBelow(parent, name string) (bool, error) {
	if len(u.tree.dirs) == 1 {
		return false, nil
	}
	dir, err := u.tree.resolve(parent, false)
	if err != nil {
		return false, err
	}
	if dir.in = slices.DeleteFunc(dir.in, func(i int) bool { return i == 0 }); len(dir.in) == 0 {
		return false, nil
	}
	switch _, err := u.tree.child(dir, name); {
	case errors.Is(err, unix.ENOENT):
		return false, nil
	case err != nil:
		return false, err
	}
	return true, nil
}

// setOpaque makes the directory name hide those of the layers below.
func (u *Unpacker) setOpaque(name string) error {
	if len(u.tree.dirs) == 1 {
		return nil
	}
	fd, err := openBeneath(u.new, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	own, err := makeOpaque(fd)
	u.own = u.own || own
	return err
}

// setTimes sets the times of the directories, which creating files in them has changed.
func (u *Unpacker) setTimes() error {
	for name, t := range u.times {
		fd, err := openBeneath(u.new, name, unix.O_RDONLY|unix.O_DIRECTORY)
		if err == unix.ENOENT || err == unix.ENOTDIR || err == unix.ELOOP {
			continue // a later entry has replaced it
		}
		if err != nil {
			return fmt.Errorf("/%s: %w", name, err)
		}
		err = setTimesOf(fd, t, t)
		unix.Close(fd)
		if err != nil {
			return fmt.Errorf("/%s: %w", name, err)
		}
	}
	return nil
}
