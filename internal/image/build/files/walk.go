package files

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/moby/patternmatcher"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/image/layer"
)

// walker copies from one source.
type walker struct {
	*copier
	tree    *layer.Tree
	ignore  *patternmatcher.PatternMatcher // .dockerignore; nil: nothing is ignored
	include *patternmatcher.PatternMatcher // of --parents; nil: everything
	links   map[[2]uint64]string           // where the first of several hard links has been copied to
	parents []parent
	copied  bool // something has been copied
}

// parent is a directory that is created when something in it is copied.
type parent struct {
	object *layer.Object
	to     string
	done   bool
}

// tree copies what a path, which may have wildcards, matches.
func (k *copier) tree(s *Source) (err error) {
	stack, err := layer.OpenStack(s.Tree.Layers)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stack.Close()) }()
	w := &walker{copier: k, tree: &layer.Tree{Stack: stack, Owners: k.owners, Plain: s.Tree.Plain}, links: map[[2]uint64]string{}}
	if len(s.Tree.Ignore) > 0 {
		if w.ignore, err = patternmatcher.New(s.Tree.Ignore); err != nil {
			return fmt.Errorf(".dockerignore: %w", err)
		}
	}
	name := path.Clean("/" + s.Path)[1:]
	if k.Parents {
		return w.withParents(s.Path)
	}
	if !hasWildcards(name) {
		return w.one(s, name)
	}
	matches, err := w.glob(name)
	if err != nil {
		return err
	}
	for _, m := range matches {
		if err := w.one(s, m); err != nil {
			return err
		}
	}
	return nil
}

// withParents copies what the source path of COPY --parents matches. The directories that lead
// to a match are kept from the pivot on, the component "." of the path.
func (w *walker) withParents(source string) (err error) {
	top, pattern, found := strings.Cut(source, "/./")
	if !found {
		top, pattern = "", source
	}
	pattern = strings.TrimPrefix(path.Clean("/"+pattern), "/")
	if w.include, err = patternmatcher.New([]string{pattern}); err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	tops := []string{path.Clean("/" + top)[1:]}
	if hasWildcards(top) {
		if tops, err = w.glob(tops[0]); err != nil {
			return err
		}
	}
	for _, top := range tops {
		o, err := w.tree.Lookup(top, true)
		if err != nil {
			return w.notFound(top, err)
		}
		to, err := w.target(true, top)
		if err != nil {
			return err
		}
		if err := w.directoryContent(o, "", to); err != nil {
			return err
		}
	}
	if !w.copied && !hasWildcards(source) {
		return w.notFound(source, unix.ENOENT)
	}
	return nil
}

// one copies the object at name, the content of a directory.
func (w *walker) one(s *Source, name string) error {
	o, err := w.tree.Lookup(name, true)
	if err != nil {
		return w.notFound(name, err)
	}
	isDir := o.Kind() == unix.S_IFDIR
	if ignored, err := w.ignored(o.Path()); err != nil {
		return err
	} else if ignored && (!isDir || !w.ignore.Exclusions()) {
		return w.notFound(name, unix.ENOENT)
	}
	if !isDir {
		if w.exclude != nil {
			for _, candidate := range []string{path.Base(name), name} {
				if excluded, err := w.exclude.MatchesOrParentMatches(candidate); err != nil || excluded {
					return err
				}
			}
		}
		if s.Unpack && o.Kind() == unix.S_IFREG {
			done, err := w.unpack(func() (io.ReadCloser, error) { return w.tree.Content(o) })
			if done || err != nil {
				return err
			}
		}
		to, err := w.target(false, name)
		if err != nil {
			return err
		}
		return w.object(o, to)
	}
	to, err := w.target(true, name)
	if err != nil {
		return err
	}
	if err := w.top(o, to); err != nil {
		return err
	}
	return w.directoryContent(o, "", to)
}

// top creates the directory that gets the content of the directory o, unless it is there. As in
// BuildKit, it does not get the owner and the mode of o.
func (w *walker) top(o *layer.Object, to string) error {
	kind, err := w.dest.kind(to)
	if err != nil || kind == tar.TypeDir {
		return err
	}
	h, err := w.tree.Header(o)
	if err != nil {
		return err
	}
	return w.put(&tar.Header{Typeflag: tar.TypeDir, Mode: 0o755, ModTime: h.ModTime}, to, nil)
}

func (w *walker) notFound(name string, err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		hint := ""
		if w.ignore != nil {
			hint = " (or .dockerignore leaves it out)"
		}
		return fmt.Errorf("%q: not found in the source%s", name, hint)
	}
	return fmt.Errorf("%q: %w", name, err)
}

// ignored reports whether .dockerignore leaves a path out.
func (w *walker) ignored(name string) (bool, error) {
	if w.ignore == nil || name == "." {
		return false, nil
	}
	return w.ignore.MatchesOrParentMatches(name)
}

// directoryContent copies the content of a directory, whose path below the source is rel, to the
// directory to.
func (w *walker) directoryContent(dir *layer.Object, rel, to string) error {
	names, err := w.tree.Names(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		o, err := w.tree.Child(dir, name)
		if err != nil {
			return err
		}
		if err := w.entry(o, path.Join(rel, name), path.Join(to, name)); err != nil {
			return err
		}
	}
	return nil
}

// entry copies an object in a directory, whose path below the source is rel, to the path to.
func (w *walker) entry(o *layer.Object, rel, to string) error {
	included, left := true, false
	var err error
	if w.include != nil {
		if included, err = w.include.MatchesOrParentMatches(rel); err != nil {
			return err
		}
	}
	// Below a directory that is left out, there may be exceptions.
	exceptions := false
	if w.exclude != nil {
		if left, err = w.exclude.MatchesOrParentMatches(rel); err != nil {
			return err
		}
		exceptions = w.exclude.Exclusions()
	}
	ignored, err := w.ignored(o.Path())
	if err != nil {
		return err
	}
	if ignored {
		left, exceptions = true, exceptions || w.ignore.Exclusions()
	}
	if o.Kind() != unix.S_IFDIR {
		if !included || left {
			return nil
		}
		if err := w.createParents(); err != nil {
			return err
		}
		return w.object(o, to)
	}
	p := parent{object: o, to: to}
	if included && !left {
		if err := w.createParents(); err != nil {
			return err
		}
		if err := w.object(o, to); err != nil {
			return err
		}
		p.done = true
	}
	if left && !exceptions {
		return nil
	}
	w.parents = append(w.parents, p)
	defer func() { w.parents = w.parents[:len(w.parents)-1] }()
	return w.directoryContent(o, rel, to)
}

// createParents creates the directories that lead to an object that is copied.
func (w *walker) createParents() error {
	for i := range w.parents {
		p := &w.parents[i]
		if p.done {
			continue
		}
		p.done = true
		kind, err := w.dest.kind(p.to)
		if err != nil {
			return err
		}
		if kind == tar.TypeDir {
			continue
		}
		if err := w.object(p.object, p.to); err != nil {
			return err
		}
	}
	return nil
}

// object copies one object, of a directory without its content.
func (w *walker) object(o *layer.Object, to string) error {
	w.copied = true
	h, err := w.tree.Header(o)
	if layer.IsSocket(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if id, linked := w.tree.Inode(o); linked {
		if first, ok := w.links[id]; ok {
			return w.put(&tar.Header{Typeflag: tar.TypeLink, Linkname: first, Mode: h.Mode, Uid: h.Uid, Gid: h.Gid, ModTime: h.ModTime, PAXRecords: h.PAXRecords}, to, nil)
		}
		w.links[id] = to
	}
	if h.Typeflag != tar.TypeReg {
		return w.put(h, to, nil)
	}
	return w.put(h, to, func() (io.ReadCloser, error) { return w.tree.Content(o) })
}

// hasWildcards reports whether a path is a pattern of path.Match.
func hasWildcards(name string) bool {
	for i := 0; i < len(name); i++ {
		switch name[i] {
		case '*', '?', '[':
			return true
		case '\\':
			i++
		}
	}
	return false
}

// glob returns the paths that a pattern matches. A directory that matches stands for its content.
func (w *walker) glob(pattern string) ([]string, error) {
	if _, err := path.Match(pattern, ""); err != nil {
		return nil, fmt.Errorf("%q: %w", pattern, err)
	}
	found := []string{""}
	for component := range strings.SplitSeq(pattern, "/") {
		var next []string
		for _, dir := range found {
			matches, err := w.globIn(dir, component)
			if err != nil {
				return nil, err
			}
			next = append(next, matches...)
		}
		found = next
	}
	return found, nil
}

// globIn returns the paths of the directory dir whose last component a pattern matches.
func (w *walker) globIn(dir, pattern string) ([]string, error) {
	o, err := w.tree.Lookup(dir, true)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || err == nil && o.Kind() != unix.S_IFDIR {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	names, err := w.tree.Names(o)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, name := range names {
		if ok, _ := path.Match(pattern, name); !ok { // a bad pattern has been refused before
			continue
		}
		child, err := w.tree.Child(o, name)
		if err != nil {
			return nil, err
		}
		ignored, err := w.ignored(child.Path())
		if err != nil {
			return nil, err
		}
		if ignored && (child.Kind() != unix.S_IFDIR || !w.ignore.Exclusions()) {
			continue
		}
		found = append(found, path.Join(dir, name))
	}
	return found, nil
}
