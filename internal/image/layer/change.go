package layer

import (
	"archive/tar"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
)

// ChangeKind says what has happened to a file, as docker diff prints it.
type ChangeKind string

// The kinds of changes.
const (
	Added    ChangeKind = "A"
	Modified ChangeKind = "C"
	Deleted  ChangeKind = "D"
)

// Change is a file that differs from the layers below.
type Change struct {
	Kind ChangeKind
	Path string // absolute
	Size int64  `json:",omitempty"` // of a regular file that is there, in bytes, without further links to it
}

// Changed says where changes to layers are. Exactly one of Upper, Copy and Layers is set.
type Changed struct {
	Upper  string   // the upper directory of overlayfs
	Copy   string   // a tree that was a copy of the layers in Lower
	Layers []string // layers that make the change together, the topmost first

	// Since is when Copy was made, by the clock of its file system: what has a later change time
	// has changed. Zero means that it is unknown: then files whose attributes and size are those
	// of the copied ones are the same, and nobody reads their content.
	Since time.Time

	Lower []string // the layers below, the topmost first
	Skip  []string // absolute paths of mount points, which belong to no layer
}

// Each calls f with each change, directories before what is in them. Owners reads the records;
// nil: see the package comment.
func (c *Changed) Each(owners *owner.Store, f func(Change) error) error {
	links := map[uint64]bool{} // inodes with several that have been reported
	return c.each(owners, func(d *difference) error {
		if d.path == "." {
			return nil
		}
		change := Change{Kind: d.kind, Path: "/" + d.path}
		if d.object != nil && d.object.node.kind() == unix.S_IFREG {
			if st := &d.object.node.stat; !links[st.Ino] {
				change.Size = st.Size
				if st.Nlink > 1 {
					links[st.Ino] = true
				}
			}
		}
		return f(change)
	})
}

// difference is a change with what a layer needs of it.
type difference struct {
	kind   ChangeKind
	path   string  // relative to the root, which is "."
	tree   *Tree   // has object
	object *Object // nil if kind is Deleted
	opaque bool    // a directory that hides those of the layers below
	time   time.Time
}

// differ finds the differences between two trees.
type differ struct {
	now   *Tree // the files after the change
	below *Tree // the files before it
	// same reports whether a file of now is the one of below. Nil means that now is the upper
	// directory of overlayfs: it has nothing else than changes.
	same   func(now, below *node) (bool, error)
	skip   []string
	report func(*difference) error
	dirs   []pendingDir // directories that lead to the current one
}

// pendingDir is a directory that is reported before the first object in it.
type pendingDir struct {
	difference
	reported bool
}

func (c *Changed) each(owners *owner.Store, f func(*difference) error) (err error) {
	d := &differ{skip: c.Skip, report: f}
	changed := []string{c.Upper}
	switch {
	case c.Copy != "":
		changed = []string{c.Copy}
		d.same = d.sameAttributes
		if !c.Since.IsZero() {
			// Nothing can set this time back.
			d.same = func(now, _ *node) (bool, error) { return time.Unix(now.stat.Ctim.Unix()).Before(c.Since), nil }
		}
	case c.Layers != nil:
		changed = slices.Concat(c.Layers, c.Lower)
		d.same = func(now, _ *node) (bool, error) { return now.in[0] >= len(c.Layers), nil }
	}
	now, err := OpenStack(changed)
	if err != nil {
		return err
	}
	below, err := OpenStack(c.Lower)
	if err != nil {
		return errors.Join(err, now.Close())
	}
	defer func() { err = errors.Join(err, now.Close(), below.Close()) }()
	d.now, d.below = &Tree{Stack: now, Owners: owners}, &Tree{Stack: below, Owners: owners}
	top, err := now.root()
	if err != nil {
		return err
	}
	old, err := below.root()
	if err != nil {
		old = nil // no layers: an image that is based on none
	}
	return d.directory(&Object{top}, old, Modified)
}

// directory reports what has changed in a directory. Old is the directory before, or nil if there
// was none.
func (d *differ) directory(dir *Object, old *node, kind ChangeKind) error {
	h, err := d.now.Header(dir)
	if err != nil {
		return err
	}
	opaque := false
	if old != nil && d.same == nil {
		if opaque, err = isOpaque(d.now.dirs[0], dir.Path()); err != nil {
			return fmt.Errorf("/%s: %w", dir.Path(), err)
		}
	}
	d.dirs = append(d.dirs, pendingDir{difference: difference{kind, dir.Path(), d.now, dir, opaque, h.ModTime}})
	defer func() { d.dirs = d.dirs[:len(d.dirs)-1] }()
	changed, err := d.directoryChanged(h, old)
	if err != nil {
		return err
	}
	if changed || opaque {
		if err := d.reportDirs(); err != nil {
			return err
		}
	}
	if opaque {
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
func (d *differ) names(dir *Object) ([]string, error) {
	if d.same != nil {
		return d.now.Names(dir)
	}
	names, err := namesIn(d.now.dirs[0], dir.Path())
	slices.Sort(names)
	return names, err
}

// removed reports what the directory old had and dir, with these names, has not.
func (d *differ) removed(dir *Object, old *node, names []string) error {
	before, err := d.below.Names(&Object{old})
	if err != nil {
		return err
	}
	for _, name := range before {
		if _, found := slices.BinarySearch(names, name); found || d.skipped(dir, name) {
			continue
		}
		if err := d.deleted(dir, name); err != nil {
			return err
		}
	}
	return nil
}

// skipped reports whether name of the directory dir belongs to no layer.
func (d *differ) skipped(dir *Object, name string) bool {
	return slices.Contains(d.skip, path.Join("/", dir.Path(), name))
}

func (d *differ) deleted(dir *Object, name string) error {
	return d.reportFile(&difference{kind: Deleted, path: path.Join(dir.Path(), name)})
}

// directoryChanged reports whether a directory with the header h has other attributes than old.
func (d *differ) directoryChanged(h *tar.Header, old *node) (bool, error) {
	if old == nil {
		return h.Name != ".", nil
	}
	before, err := d.below.Header(&Object{old})
	if err != nil {
		return false, err
	}
	return !sameHeader(before, h), nil
}

// sameHeader reports whether two entries of the same name mean the same, apart from content.
func sameHeader(a, b *tar.Header) bool {
	return a.Typeflag == b.Typeflag && a.Mode == b.Mode && a.Uid == b.Uid && a.Gid == b.Gid && a.Size == b.Size &&
		a.Linkname == b.Linkname && a.Devmajor == b.Devmajor && a.Devminor == b.Devminor &&
		a.ModTime.Equal(b.ModTime) && maps.Equal(a.PAXRecords, b.PAXRecords)
}

// sameAttributes reports whether two files differ in nothing except, possibly, their content.
func (d *differ) sameAttributes(now, below *node) (bool, error) {
	if now.stat.Mtim != below.stat.Mtim {
		return false, nil // not even within the second that headers have
	}
	h, err := d.now.Header(&Object{now})
	if IsSocket(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	before, err := d.below.Header(&Object{below})
	return err == nil && sameHeader(before, h), err
}

// object reports name of the directory dir, if it has changed since it was in the directory old.
func (d *differ) object(dir *Object, old *node, name string) error {
	if d.skipped(dir, name) {
		return nil
	}
	n, err := d.now.child(dir.node, name)
	removed := d.same == nil && errors.Is(err, unix.ENOENT)
	if err != nil && !removed {
		return err
	}
	var before *node
	if old != nil {
		if before, err = d.below.child(old, name); err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	kind := Modified
	if before == nil {
		kind = Added
	}
	switch {
	case removed && before == nil:
		return nil // a whiteout of nothing
	case removed:
		return d.deleted(dir, name)
	case n.kind() == unix.S_IFDIR:
		if before != nil && before.kind() != unix.S_IFDIR {
			before = nil
		}
		return d.directory(&Object{n}, before, kind)
	}
	if d.same != nil && before != nil {
		if same, err := d.same(n, before); same || err != nil {
			return err
		}
	}
	return d.reportFile(&difference{kind: kind, path: n.path, tree: d.now, object: &Object{n}})
}

// reportFile reports a difference of what is no directory, or is none any more.
func (d *differ) reportFile(f *difference) error {
	if err := d.reportDirs(); err != nil {
		return err
	}
	f.time = d.dirs[len(d.dirs)-1].time
	return d.report(f)
}

// reportDirs reports the directories that lead to the current one. Tools that unpack a layer by
// itself know their attributes from there only.
func (d *differ) reportDirs() error {
	for i := range d.dirs {
		if p := &d.dirs[i]; !p.reported {
			p.reported = true
			if err := d.report(&p.difference); err != nil {
				return err
			}
		}
	}
	return nil
}
