package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/rootless-containers/subuidless/internal/image/build/files"
	"github.com/rootless-containers/subuidless/internal/image/layer"
	"github.com/rootless-containers/subuidless/internal/image/store"
	"github.com/rootless-containers/subuidless/internal/image/transfer"
	"github.com/rootless-containers/subuidless/internal/image/unpack"
	"github.com/rootless-containers/subuidless/internal/isolation"
)

// Output is where --output writes an image.
type Output struct {
	Type string // oci, docker, local or tar
	Dest string // path; "-": the standard output
}

// ParseOutput parses type=TYPE[,dest=PATH], or the path of a directory as docker does.
func ParseOutput(text string) (*Output, error) {
	o := new(Output)
	if !strings.Contains(text, "=") {
		o.Type, o.Dest = "local", text
		if text == stdin {
			o.Type = "tar"
		}
		return o, nil
	}
	for field := range strings.SplitSeq(text, ",") {
		key, value, _ := strings.Cut(field, "=")
		switch strings.TrimSpace(key) {
		case "type":
			o.Type = value
		case "dest":
			o.Dest = value
		default:
			return nil, fmt.Errorf("--output %s: unknown option %q: must be type or dest", text, key)
		}
	}
	switch o.Type {
	case "oci", "docker", "tar":
		if o.Dest == "" {
			o.Dest = "-"
		}
	case "local":
		if o.Dest == "" || o.Dest == "-" {
			return nil, fmt.Errorf("--output %s: type=local needs dest=DIRECTORY", text)
		}
	default:
		return nil, fmt.Errorf("--output %s: type must be oci, docker, local or tar", text)
	}
	return o, nil
}

// ToStdout reports whether the output is the standard output.
func (o Output) ToStdout() bool { return o.Dest == "-" }

// complete reports whether the output is instead of an image in the store.
func (o Output) complete() bool { return o.Type != "docker" }

// write writes an image of the store, whose layers are unpacked. For an index, a directory or archive
// has a directory OS_ARCH[_VARIANT] for each platform, as docker's.
func (o *Output) write(ctx context.Context, s *store.Store, use store.Lock, i *store.Image) error {
	switch o.Type {
	case "oci":
		return transfer.Save(ctx, s, []*store.Image{i}, transfer.FormatLayoutArchive, o.Dest)
	case "docker":
		return transfer.Save(ctx, s, []*store.Image{i}, transfer.FormatDockerArchive, o.Dest)
	}
	roots := []root{{layers: layersOf(s, i)}}
	if i.Platforms != nil {
		roots = nil
		for _, p := range i.Platforms {
			roots = append(roots, root{strings.ReplaceAll(p.Descriptor.Platform.String(), "/", "_"), layersOf(s, p)})
		}
	}
	fill := func(dir string) error { return mergeRoots(ctx, s, use, roots, dir) }
	if o.Type == "local" {
		return o.writeDir(fill)
	}
	return o.writeTar(ctx, s, use, roots, fill)
}

// root is the root file system of one platform.
type root struct {
	dir    string   // its directory in the output, or empty
	layers []string // paths, the topmost first
}

func layersOf(s *store.Store, i *store.Image) []string {
	var layers []string
	for _, id := range i.Layers() {
		layers = append(layers, s.LayerPath(id))
	}
	return layers
}

// writeDir fills a new or empty directory.
func (o *Output) writeDir(fill func(dir string) error) error {
	dest, err := filepath.Abs(o.Dest)
	if err != nil {
		return err
	}
	if _, err := os.Stat(dest); errors.Is(err, os.ErrNotExist) {
		return createDir(dest, fill)
	}
	if entries, err := os.ReadDir(dest); err != nil || len(entries) > 0 {
		return errors.Join(err, fmt.Errorf("--output: the directory %s is not empty", o.Dest))
	}
	err = fill(dest)
	if err == nil {
		return nil
	}
	entries, readErr := os.ReadDir(dest)
	errs := []error{err, readErr}
	for _, e := range entries {
		errs = append(errs, layer.RemoveAll(filepath.Join(dest, e.Name())))
	}
	return errors.Join(errs...)
}

// createDir creates the directory name, which appears when fill has filled it.
func createDir(name string, fill func(dir string) error) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	err = os.Chmod(dir, 0o755)
	if err == nil {
		err = fill(dir)
	}
	if err == nil {
		err = os.Rename(dir, name)
	}
	if err != nil {
		return errors.Join(err, layer.RemoveAll(dir))
	}
	return nil
}

// mergeRoots copies root file systems to the empty directory dir, with records of their owners.
func mergeRoots(ctx context.Context, s *store.Store, use store.Lock, roots []root, dir string) error {
	for _, r := range roots {
		to := filepath.Join(dir, r.dir)
		if r.dir != "" {
			if err := os.Mkdir(to, 0o755); err != nil {
				return err
			}
		}
		if len(r.layers) == 0 {
			continue
		}
		if err := unpack.Merge(ctx, s, use, isolation.Current().NativeOwners(), r.layers, to); err != nil {
			return err
		}
	}
	return nil
}

// writeTar writes the root file systems as an archive. Fill fills a directory with them.
func (o *Output) writeTar(ctx context.Context, s *store.Store, use store.Lock, roots []root, fill func(dir string) error) (err error) {
	dir, err := os.MkdirTemp(s.TempDir(), "output-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, layer.RemoveAll(dir)) }()
	p, err := files.Start(s, use, isolation.Current().NativeOwners())
	if err != nil {
		return err
	}
	archive, layers := filepath.Join(dir, "archive"), roots[0].layers
	if len(roots) > 1 || len(layers) == 0 {
		merged := filepath.Join(dir, "merged")
		if err := errors.Join(os.Mkdir(merged, 0o755), fill(merged)); err != nil {
			return errors.Join(err, p.Close())
		}
		layers = []string{merged}
	}
	stop := context.AfterFunc(ctx, p.Cancel)
	defer stop()
	err = p.Tree(layers, archive)
	if err := errors.Join(err, p.Close()); err != nil {
		return err
	}
	in, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer in.Close()
	return transfer.SaveFile(ctx, o.Dest, func(w io.Writer) error {
		_, err := io.Copy(w, in)
		return err
	})
}
