package build

import (
	"context"
	"errors"
	"fmt"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/rootless-containers/subuidless/internal/image/build/dockerfile"
	"github.com/rootless-containers/subuidless/internal/image/build/files"
	"github.com/rootless-containers/subuidless/internal/image/reference"
)

// Context is what --build-context gives a name: a directory or an image.
type Context struct {
	Dir   string // path, or git repository
	Image string // as for a pull
}

// Contexts are contexts by their names, which contextKey has made comparable.
type Contexts map[string]Context

// Add adds the context that text describes: NAME=PATH, NAME=URL of a git repository,
// NAME=docker-image://IMAGE or NAME=oci-layout://DIR[:TAG].
func (c Contexts) Add(text string) error {
	name, where, _ := strings.Cut(text, "=")
	if name == "" || where == "" {
		return fmt.Errorf("--build-context %s: must be NAME=DIR, NAME=docker-image://IMAGE or NAME=oci-layout://DIR", text)
	}
	if where == stdin {
		return fmt.Errorf("--build-context %s: only CONTEXT can be the standard input", text)
	}
	named := Context{Dir: where}
	if image, ok := strings.CutPrefix(where, "docker-image://"); ok {
		named = Context{Image: image}
	} else if layout, ok := strings.CutPrefix(where, "oci-layout://"); ok {
		named = Context{Image: "oci:" + layout}
	}
	if named.Dir == "" && named.Image == "" {
		return fmt.Errorf("--build-context %s: the name of the image is missing", text)
	}
	c[contextKey(name)] = named
	return nil
}

// contextKey returns the same key for all forms of the name of an image, as BuildKit does.
func contextKey(name string) string {
	if ref, err := reference.Parse(name, nil); err == nil && ref.Transport == reference.Registry {
		return ref.Name
	}
	return name
}

func (c Contexts) has(name string) bool {
	_, ok := c[contextKey(name)]
	return ok
}

// find returns the context of this name, or nothing.
func (c Contexts) find(name string) Context { return c[contextKey(name)] }

// directory returns the directory of the host that from names, and nil if it names something else.
// If from is nil, that is the context of the build.
func (b *builder) directory(ctx context.Context, from *dockerfile.Ref) (*files.Tree, error) {
	if from == nil {
		return b.source.tree()
	}
	where := b.Contexts.find(from.Context).Dir
	if from.Context == "" || where == "" {
		return nil, nil
	}
	return b.trees.get(where, func() (*files.Tree, error) {
		s := new(source)
		err := b.openDirectory(ctx, s, where)
		if err == nil {
			err = s.readIgnore(stdin)
		}
		if err != nil {
			return nil, fmt.Errorf("--build-context %s: %w", from.Context, err)
		}
		return s.tree()
	})
}

// directoryState returns the state of an image that has the files of the context name, and no
// configuration.
func (b *builder) directoryState(ctx context.Context, name, platform string) (_ *state, err error) {
	tree, err := b.directory(ctx, &dockerfile.Ref{Context: name})
	if err != nil {
		return nil, err
	}
	s, err := scratch(platform)
	if err != nil {
		return nil, err
	}
	process, stop, err := b.startFiles(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	k := &stageBuilder{target: &target{builder: b}, files: process, state: s}
	source, err := k.directorySource(ctx, tree, "/")
	if err != nil {
		return nil, err
	}
	s.layers, s.diffIDs = source.tree.layers, source.tree.diffIDs
	s.history = []ocispec.History{{Created: b.time(nil), CreatedBy: "FROM the context " + name, Comment: historyComment, EmptyLayer: len(s.layers) == 0}}
	s.based.layers, s.based.history = len(s.layers), len(s.history)
	return s, nil
}
