package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/rootless-containers/subuidless/internal/image/build/dockerfile"
	"github.com/rootless-containers/subuidless/internal/image/build/files"
	"github.com/rootless-containers/subuidless/internal/image/layer"
	"github.com/rootless-containers/subuidless/internal/image/store"
)

// copyMaker makes the layer of COPY, ADD or WORKDIR.
type copyMaker struct {
	k       *stageBuilder
	copy    files.Copy
	digest  string // of what is copied
	cleanup []func() error
}

func (m *copyMaker) inputs() any { return []string{"copy", m.digest} }

func (m *copyMaker) close() error {
	var errs []error
	for _, f := range m.cleanup {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}

// newWorkdir prepares WORKDIR.
func (k *stageBuilder) newWorkdir(ctx context.Context, w *dockerfile.Workdir) (layerMaker, error) {
	m := &copyMaker{k: k, copy: files.Copy{Dest: w.Path, Sources: []files.Source{{Dir: true}}}}
	return m, m.prepare(ctx, w.User)
}

// newCopy prepares COPY and ADD.
func (k *stageBuilder) newCopy(ctx context.Context, c *dockerfile.Copy) (_ layerMaker, err error) {
	m := &copyMaker{k: k, copy: files.Copy{Dest: c.Dest, Mode: c.Chmod, Exclude: c.Exclude, Parents: c.Parents, Link: c.Link}}
	for i := range c.Sources {
		s, err := m.source(ctx, &c.Sources[i])
		if err != nil {
			return nil, errors.Join(err, m.close())
		}
		m.copy.Sources = append(m.copy.Sources, *s)
	}
	if err := m.prepare(ctx, c.Chown); err != nil {
		return nil, errors.Join(err, m.close())
	}
	return m, nil
}

// source returns a source for package files.
func (m *copyMaker) source(ctx context.Context, s *dockerfile.Source) (*files.Source, error) {
	out := &files.Source{Unpack: s.Unpack}
	switch {
	case s.Inline != nil:
		out.Inline = &files.Inline{Name: s.Inline.Name, Content: s.Inline.Content}
		return out, nil
	case s.URL != "":
		f, err := m.k.download(ctx, s.URL, s.Checksum)
		if err != nil {
			return nil, err
		}
		m.cleanup = append(m.cleanup, func() error { return os.Remove(f.Path) })
		out.File = f
		return out, nil
	case s.Git != "":
		sub, dir, err := m.k.addGit(ctx, s)
		if err != nil {
			return nil, err
		}
		m.cleanup = append(m.cleanup, func() error { return layer.RemoveAll(dir) })
		out.Path, out.Tree = ".", &files.Tree{Layers: []string{sub}, Plain: true}
		return out, nil
	}
	tree, err := m.k.tree(ctx, s.From)
	out.Path, out.Tree = s.Path, tree
	return out, err
}

// tree returns what from names, unpacked; nil means the context.
func (k *stageBuilder) tree(ctx context.Context, from *dockerfile.Ref) (*files.Tree, error) {
	if tree, err := k.directory(ctx, from); tree != nil || err != nil {
		return tree, err
	}
	s, err := k.ref(ctx, k.cancel, *from, "")
	if err != nil {
		return nil, err
	}
	if err := k.unpack(ctx, s); err != nil {
		return nil, err
	}
	if len(s.layers) == 0 {
		empty := filepath.Join(k.tmp, "empty")
		return &files.Tree{Layers: []string{empty}}, os.MkdirAll(empty, 0o755)
	}
	return &files.Tree{Layers: k.paths(s)}, nil
}

// prepare completes m, whose files shall belong to chown, and finds out what it copies.
func (m *copyMaker) prepare(ctx context.Context, chown string) error {
	k := m.k
	if err := k.unpack(ctx, k.state); err != nil {
		return err
	}
	m.copy.Lower, m.copy.Created, m.copy.Latest = k.paths(k.state), k.created, k.epoch
	if chown != "" {
		o, err := lookUpOwner(m.copy.Lower, chown)
		if err != nil {
			return err
		}
		m.copy.Owner = o
	}
	var err error
	m.digest, err = k.files.Hash(&m.copy)
	return err
}

func (m *copyMaker) make(context.Context, output) (_ *store.CachedLayer, err error) {
	k := m.k
	dir, err := os.MkdirTemp(k.tmp, "copy-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, layer.RemoveAll(dir)) }()
	archive, unpacked := filepath.Join(dir, "archive"), filepath.Join(dir, "layer")
	if err := os.Mkdir(unpacked, 0o755); err != nil {
		return nil, err
	}
	made, err := k.files.Copy(&m.copy, archive, unpacked)
	if err != nil {
		return nil, err
	}
	return k.newLayer(k.state, made, archive, unpacked)
}

// lookUpOwner returns the owner that --chown or USER names: USER[:GROUP], each a name or an id.
// As in BuildKit, the group of a name is that of /etc/passwd, and an id is the group, too.
func lookUpOwner(layers []string, text string) (*files.Owner, error) {
	stack, err := layer.OpenStack(layers)
	if err != nil {
		return nil, err
	}
	defer stack.Close()
	o, err := parseOwner(text, func(name string) ([]byte, error) {
		f, err := stack.Open(name, 0)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return readAll(f)
	})
	if err != nil {
		return nil, fmt.Errorf("owner %q: %w", text, err)
	}
	return o, nil
}

// parseID parses an id; ok is false if text is a name.
func parseID(text string) (id uint32, ok bool, err error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, false, nil
	}
	if n >= 1<<32-1 {
		return 0, false, fmt.Errorf("%s is not a valid id (0 to 4294967294)", text)
	}
	return uint32(n), true, nil
}
