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

// Writer writes objects of trees to a tar archive, with the owners, devices and attributes that
// their records say. It is the inverse of Unpacker.
type Writer struct {
	Latest time.Time // no time in the archive is later; zero: no limit
	Warn   func(message string)
	// OneFileSystem leaves out what is in other mounts: of their mount points, there are empty
	// directories and files.
	OneFileSystem bool
	// MountPoints are absolute paths that OneFileSystem leaves out although nothing is mounted
	// there.
	MountPoints []string

	out   *tar.Writer
	links map[[2]uint64]string // the names of files with several hard links
}

// NewWriter returns a Writer that writes to w. The caller calls Close in the end. Warn is called
// with what the archive cannot have.
func NewWriter(w io.Writer, warn func(message string)) *Writer {
	return &Writer{Warn: warn, out: tar.NewWriter(w), links: map[[2]uint64]string{}}
}

// Close writes the end of the archive.
func (w *Writer) Close() error { return w.out.Close() }

// Changes writes the changes as a layer (image-spec, layer.md). Owners reads the records; nil: see
// the package comment.
func (w *Writer) Changes(c *Changed, owners *owner.Store) error {
	return c.each(owners, func(d *difference) error {
		dir, base := path.Split(d.path)
		if d.kind == Deleted {
			return w.whiteout(dir+whiteoutPrefix+base, d.time)
		}
		if strings.HasPrefix(base, whiteoutPrefix) {
			return fmt.Errorf("/%s: names that begin with %s cannot be in a layer, where they mean removed files", d.path, whiteoutPrefix)
		}
		if err := w.Object(d.tree, d.object, d.path); err != nil || !d.opaque {
			return err
		}
		return w.whiteout(path.Join(d.path, opaqueMarker), d.time)
	})
}

// whiteout writes a whiteout or the marker of an opaque directory.
func (w *Writer) whiteout(name string, modified time.Time) error {
	return w.write(&tar.Header{Typeflag: tar.TypeReg, Name: name, ModTime: modified}, nil)
}

// All writes an object and what is below it. In the archive, its name is name.
func (w *Writer) All(t *Tree, o *Object, name string) error {
	if w.OneFileSystem && o.Path() != "." {
		mount, err := t.isMountPoint(o)
		if err != nil {
			return err
		}
		if mount || slices.Contains(w.MountPoints, "/"+o.Path()) {
			return w.mountPoint(o.Kind() == unix.S_IFDIR, name)
		}
	}
	if err := w.Object(t, o, name); err != nil || o.Kind() != unix.S_IFDIR {
		return err
	}
	return w.Children(t, o, name)
}

// Children writes what is below the directory dir, which is called name in the archive.
func (w *Writer) Children(t *Tree, dir *Object, name string) error {
	names, err := t.Names(dir)
	if err != nil {
		return err
	}
	for _, child := range names {
		o, err := t.Child(dir, child)
		if err == nil {
			err = w.All(t, o, path.Join(name, child))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Object writes an object, of a directory without its content. In the archive, its name is name.
func (w *Writer) Object(t *Tree, o *Object, name string) error {
	h, err := t.Header(o)
	if IsSocket(err) {
		w.Warn(fmt.Sprintf("/%s: a socket is left out: archives cannot have any", o.Path()))
		return nil
	}
	if err != nil {
		return err
	}
	h.Name = name
	if h.Typeflag == tar.TypeDir {
		h.Name += "/"
	}
	if id, linked := t.Inode(o); linked {
		if first, ok := w.links[id]; ok {
			// Tools give the file what its last entry says.
			return w.write(&tar.Header{Typeflag: tar.TypeLink, Name: h.Name, Linkname: first, Mode: h.Mode, Uid: h.Uid, Gid: h.Gid, ModTime: h.ModTime, PAXRecords: h.PAXRecords}, nil)
		}
		w.links[id] = h.Name
	}
	if h.Typeflag != tar.TypeReg {
		return w.write(h, nil)
	}
	content, err := t.Content(o)
	if err != nil {
		return err
	}
	return errors.Join(w.write(h, content), content.Close())
}

// mountPoint writes an empty directory or file.
func (w *Writer) mountPoint(isDir bool, name string) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, ModTime: time.Unix(0, 0)}
	if isDir {
		h.Typeflag, h.Name, h.Mode = tar.TypeDir, name+"/", 0o755
	}
	return w.write(h, nil)
}

func (w *Writer) write(h *tar.Header, content io.Reader) error {
	return WriteEntry(w.out, h, content, w.Latest)
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
