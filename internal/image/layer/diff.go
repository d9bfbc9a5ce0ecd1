package layer

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
)

// Differ writes what a container has changed as the archive of a layer.
type Differ struct {
	Owners *owner.Store // reads the records; nil: see the package comment
	Latest time.Time    // no time in the archive is later; zero: no limit
	Warn   func(message string)

	now   *Tree // the files after the change
	below *Tree // the files before it
	// same reports whether a file of now is the one of below. Nil means that now is the upper
	// directory of overlayfs: it has nothing else than changes.
	same  func(*node) bool
	out   *tar.Writer
	links map[[2]uint64]string
	dirs  []pendingDir // directories that lead to the current one
}

// pendingDir is a directory that is written before the first object in it.
type pendingDir struct {
	header  *tar.Header
	written bool
}

// Upper writes the change that is in upper, the upper directory of overlayfs, relative to the
// layers in lower, the topmost first.
func (d *Differ) Upper(w io.Writer, upper string, lower []string) error {
	return d.diff(w, []string{upper}, lower, nil)
}

// Copy writes the change of a tree that was a copy of the layers in lower at the time since, which
// is one of the clock of its file system.
func (d *Differ) Copy(w io.Writer, changed string, lower []string, since time.Time) error {
	return d.diff(w, []string{changed}, lower, func(n *node) bool {
		// Nothing can set this time back.
		return time.Unix(n.stat.Ctim.Unix()).Before(since)
	})
}

// Squash writes the change that the layers in upper make together, relative to those in lower.
// The topmost are the first.
func (d *Differ) Squash(w io.Writer, upper, lower []string) error {
	return d.diff(w, slices.Concat(upper, lower), lower, func(n *node) bool { return n.in[0] >= len(upper) })
}

func (d *Differ) diff(w io.Writer, changed, lower []string, same func(*node) bool) (err error) {
	now, err := OpenStack(changed)
	if err != nil {
		return err
	}
	below, err := OpenStack(lower)
	if err != nil {
		return errors.Join(err, now.Close())
	}
	defer func() { err = errors.Join(err, now.Close(), below.Close()) }()
	d.now, d.below = &Tree{Stack: now, Owners: d.Owners}, &Tree{Stack: below, Owners: d.Owners}
	d.same, d.out, d.links, d.dirs = same, tar.NewWriter(w), map[[2]uint64]string{}, nil
	top, err := now.root()
	if err != nil {
		return err
	}
	old, err := below.root()
	if err != nil {
		old = nil // no layers: an image that is based on none
	}
	if err := d.directory(&Object{top}, old); err != nil {
		return err
	}
	return d.out.Close()
}

// directory writes what has changed in a directory. Old is the directory before, or nil if there
// was none.
func (d *Differ) directory(dir *Object, old *node) error {
	h, err := d.now.Header(dir)
	if err != nil {
		return err
	}
	h.Name = strings.TrimPrefix(h.Name+"/", "./")
	if h.Name == "" {
		h.Name = "./"
	}
	d.dirs = append(d.dirs, pendingDir{header: h})
	defer func() { d.dirs = d.dirs[:len(d.dirs)-1] }()
	opaque := false
	if old != nil && d.same == nil {
		if opaque, err = isOpaque(d.now.dirs[0], dir.Path()); err != nil {
			return fmt.Errorf("/%s: %w", dir.Path(), err)
		}
	}
	changed, err := d.directoryChanged(h, old)
	if err != nil {
		return err
	}
	if changed || opaque {
		if err := d.writeDirs(); err != nil {
			return err
		}
	}
	if opaque {
		if err := d.whiteout(dir.Path(), opaqueMarker); err != nil {
			return err
		}
		old = nil
	}
	names, err := d.names(dir)
	if err != nil {
		return err
	}
	if d.same != nil && old != nil {
		if err := d.removed(dir, old, names); err != nil {
			return err
		}
	}
	for _, name := range names {
		if err := d.object(dir, old, name); err != nil {
			return err
		}
	}
	return nil
}

// names returns the sorted names in a directory; in an upper directory, also those of whiteouts.
func (d *Differ) names(dir *Object) ([]string, error) {
	if d.same != nil {
		return d.now.Names(dir)
	}
	names, err := namesIn(d.now.dirs[0], dir.Path())
	slices.Sort(names)
	return names, err
}

// removed writes whiteouts for what the directory old had and dir, with these names, has not.
func (d *Differ) removed(dir *Object, old *node, names []string) error {
	before, err := d.below.Names(&Object{old})
	if err != nil {
		return err
	}
	for _, name := range before {
		if _, found := slices.BinarySearch(names, name); found {
			continue
		}
		if err := d.whiteout(dir.Path(), whiteoutPrefix+name); err != nil {
			return err
		}
	}
	return nil
}

// directoryChanged reports whether a directory with the header h has other attributes than old.
func (d *Differ) directoryChanged(h *tar.Header, old *node) (bool, error) {
	if old == nil {
		return h.Name != "./", nil
	}
	before, err := d.below.Header(&Object{old})
	if err != nil {
		return false, err
	}
	same := before.Mode == h.Mode && before.Uid == h.Uid && before.Gid == h.Gid &&
		before.ModTime.Equal(h.ModTime) && maps.Equal(before.PAXRecords, h.PAXRecords)
	return !same, nil
}

// object writes name of the directory dir, if it has changed since it was in the directory old.
func (d *Differ) object(dir *Object, old *node, name string) error {
	if strings.HasPrefix(name, whiteoutPrefix) {
		return fmt.Errorf("/%s/%s: names that begin with %s cannot be in a layer, where they mean removed files", dir.Path(), name, whiteoutPrefix)
	}
	n, err := d.now.child(dir.node, name)
	if d.same == nil && errors.Is(err, unix.ENOENT) {
		return d.whiteout(dir.Path(), whiteoutPrefix+name)
	}
	if err != nil {
		return err
	}
	var before *node
	if old != nil {
		if before, err = d.below.child(old, name); err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	if n.kind() == unix.S_IFDIR {
		if before != nil && before.kind() != unix.S_IFDIR {
			before = nil
		}
		return d.directory(&Object{n}, before)
	}
	if d.same != nil && before != nil && d.same(n) {
		return nil
	}
	return d.file(&Object{n})
}

// file writes an object that is no directory.
func (d *Differ) file(o *Object) error {
	h, err := d.now.Header(o)
	if IsSocket(err) {
		d.Warn(fmt.Sprintf("/%s: a socket is left out: layers cannot have any", o.Path()))
		return nil
	}
	if err != nil {
		return err
	}
	if err := d.writeDirs(); err != nil {
		return err
	}
	if id, linked := d.now.Inode(o); linked {
		if first, ok := d.links[id]; ok {
			return d.write(&tar.Header{Typeflag: tar.TypeLink, Name: h.Name, Linkname: first, Mode: h.Mode, Uid: h.Uid, Gid: h.Gid, ModTime: h.ModTime}, nil)
		}
		d.links[id] = h.Name
	}
	if h.Typeflag != tar.TypeReg {
		return d.write(h, nil)
	}
	content, err := d.now.Content(o)
	if err != nil {
		return err
	}
	return errors.Join(d.write(h, content), content.Close())
}

// whiteout writes a whiteout of this name in the directory dir.
func (d *Differ) whiteout(dir, name string) error {
	if err := d.writeDirs(); err != nil {
		return err
	}
	return d.write(&tar.Header{Typeflag: tar.TypeReg, Name: path.Join(dir, name), ModTime: d.dirs[len(d.dirs)-1].header.ModTime}, nil)
}

// writeDirs writes the directories that lead to the current one. Tools that unpack a layer by
// itself know their attributes from there only.
func (d *Differ) writeDirs() error {
	for i := range d.dirs {
		if p := &d.dirs[i]; !p.written {
			p.written = true
			if err := d.write(p.header, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *Differ) write(h *tar.Header, content io.Reader) error {
	return WriteEntry(d.out, h, content, d.Latest)
}

// WriteEntry writes an entry of a layer, with no time later than latest unless that is zero.
// Content is that of a regular file.
func WriteEntry(w *tar.Writer, h *tar.Header, content io.Reader, latest time.Time) error {
	if !latest.IsZero() && h.ModTime.After(latest) {
		h.ModTime = latest
	}
	if err := w.WriteHeader(h); err != nil {
		return fmt.Errorf("%s: %w", h.Name, err)
	}
	if content == nil {
		return nil
	}
	// No more than the size that the header says: the file may grow.
	if n, err := io.CopyN(w, content, h.Size); err != nil {
		if err == io.EOF {
			err = fmt.Errorf("the file has shrunk from %d to %d bytes while it was read", h.Size, n)
		}
		return fmt.Errorf("%s: %w", h.Name, err)
	}
	return nil
}
