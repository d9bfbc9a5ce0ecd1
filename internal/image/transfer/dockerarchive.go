package transfer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"

	"github.com/rootless-containers/subuidless/internal/image/reference"
	"github.com/rootless-containers/subuidless/internal/image/store"
)

// dockerArchive is the archive of docker save: manifest.json lists images, whose
// configurations and layers are files in the archive.
type dockerArchive struct{ *archive }

// archivedImage is an element of manifest.json.
type archivedImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

func (d *dockerArchive) manifest(context.Context, *v1.Hash) (*manifest, error) {
	return nil, errors.New("an archive of docker save has no manifests")
}

func (d *dockerArchive) blob(context.Context, v1.Descriptor, int64) (io.ReadCloser, error) {
	return nil, errors.New("an archive of docker save has no blobs")
}

// images returns the images of the archive.
func (d *dockerArchive) images() ([]archivedImage, error) {
	raw, err := readFile(d, "manifest.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("not an archive of docker save: it has no manifest.json")
	}
	if err != nil {
		return nil, err
	}
	var images []archivedImage
	if err := json.Unmarshal(raw, &images); err != nil {
		return nil, fmt.Errorf("manifest.json: %w", err)
	}
	return images, nil
}

// convert adds the layers of an image to the store and returns the image as one of an OCI
// layout. Name is one of its names; empty means the only image of the archive.
func (d *dockerArchive) convert(s *store.Store, name string) (source, error) {
	images, err := d.images()
	if err != nil {
		return nil, err
	}
	i := 0
	if name != "" {
		i = slices.IndexFunc(images, func(i archivedImage) bool { return slices.Contains(i.RepoTags, name) })
	}
	if i < 0 || len(images) == 0 {
		return nil, fmt.Errorf("the archive has no image %q: %w", name, store.ErrNotFound)
	}
	if name == "" && len(images) > 1 {
		return nil, fmt.Errorf("the archive has %d images; add a colon and the name of one, or use subuidless load", len(images))
	}
	return d.convertImage(s, images[i])
}

func (d *dockerArchive) convertImage(s *store.Store, image archivedImage) (source, error) {
	config, err := readFile(d, image.Config)
	if err != nil {
		return nil, err
	}
	digest, err := s.PutBlob(config)
	if err != nil {
		return nil, err
	}
	m := v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1,
		Config: v1.Descriptor{MediaType: types.OCIConfigJSON, Size: int64(len(config)), Digest: digest},
		Layers: []v1.Descriptor{},
	}
	for _, name := range image.Layers {
		l, err := d.addLayer(s, name)
		if err != nil {
			return nil, fmt.Errorf("layer %s: %w", name, err)
		}
		m.Layers = append(m.Layers, l)
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	return &converted{raw: raw}, nil
}

// compression is the level for layers that have none: a compromise of docker and podman, too.
const compression = gzip.DefaultCompression

// addLayer adds a layer to the store, compressed.
func (d *dockerArchive) addLayer(s *store.Store, name string) (v1.Descriptor, error) {
	f, err := d.open(name)
	if err != nil {
		return v1.Descriptor{}, err
	}
	defer f.Close()
	magic := make([]byte, 2)
	if _, err := io.ReadFull(f, magic); err != nil {
		return v1.Descriptor{}, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return v1.Descriptor{}, err
	}
	compressed := bytes.Equal(magic, []byte{0x1f, 0x8b})
	l, err := s.PutStream(func(w io.Writer) error {
		if compressed {
			_, err := io.Copy(w, f)
			return err
		}
		z, err := gzip.NewWriterLevel(w, compression)
		if err != nil {
			return err
		}
		if _, err := io.Copy(z, f); err != nil {
			return err
		}
		return z.Close()
	})
	l.MediaType = types.OCILayer
	return l, err
}

// converted is an image whose blobs are in the store already.
type converted struct{ raw []byte }

func (c *converted) manifest(context.Context, *v1.Hash) (*manifest, error) {
	return newManifest(c.raw, types.OCIManifestSchema1, nil)
}

func (c *converted) blob(_ context.Context, d v1.Descriptor, _ int64) (io.ReadCloser, error) {
	return nil, fmt.Errorf("blob %s: %w", d.Digest, fs.ErrNotExist)
}

// Load adds the images of an archive or directory to the store, with the names that they have
// there: an archive of docker save or of an OCI layout, compressed or not, or a layout. The
// path "-" is the standard input.
func Load(ctx context.Context, s *store.Store, path string, o Options) ([]*store.Image, error) {
	use, err := s.Use()
	if err != nil {
		return nil, err
	}
	defer use.Unlock()
	var all files = directory(path)
	if !isDirectory(path) {
		a, err := openArchive(ctx, path, s.TempDir())
		if err != nil {
			return nil, err
		}
		defer a.Close()
		if _, ok := a.members["manifest.json"]; ok {
			return loadDocker(ctx, s, use, &dockerArchive{a}, o)
		}
		all = a
	}
	return loadLayout(ctx, s, use, all, o)
}

func loadDocker(ctx context.Context, s *store.Store, use store.Lock, d *dockerArchive, o Options) ([]*store.Image, error) {
	images, err := d.images()
	if err != nil {
		return nil, err
	}
	var loaded []*store.Image
	for _, image := range images {
		names, err := completeNames(image.RepoTags)
		if err != nil {
			return nil, err
		}
		src, err := d.convertImage(s, image)
		if err != nil {
			return nil, err
		}
		i, err := add(ctx, s, use, src, names, o)
		if err != nil {
			return nil, err
		}
		loaded = append(loaded, i)
	}
	return loaded, nil
}

func loadLayout(ctx context.Context, s *store.Store, use store.Lock, all files, o Options) ([]*store.Image, error) {
	raw, err := readFile(all, "index.json")
	if err != nil {
		return nil, fmt.Errorf("neither an archive of docker save nor an OCI image layout: %w", err)
	}
	var index v1.IndexManifest
	if err := json.Unmarshal(raw, &index); err != nil {
		return nil, fmt.Errorf("index.json: %w", err)
	}
	o.Whole = true
	var loaded []*store.Image
	for _, d := range index.Manifests {
		// The name in the layout of a tool is often a tag only, which names nothing here.
		var names []string
		for _, annotation := range []string{"io.containerd.image.name", layoutName} {
			if ref, err := reference.Parse(d.Annotations[annotation], nil); err == nil && ref.Transport == reference.Registry && isComplete(d.Annotations[annotation]) {
				names = []string{ref.Name}
				break
			}
		}
		i, err := add(ctx, s, use, &indexed{layoutSource{all, ""}, d.Digest}, names, o)
		if err != nil {
			return nil, err
		}
		loaded = append(loaded, i)
	}
	return loaded, nil
}

// indexed is an image of a layout with several.
type indexed struct {
	layoutSource
	digest v1.Hash
}

func (s *indexed) manifest(ctx context.Context, digest *v1.Hash) (*manifest, error) {
	if digest == nil {
		digest = &s.digest
	}
	return s.layoutSource.manifest(ctx, digest)
}

func completeNames(tags []string) ([]string, error) {
	var names []string
	for _, tag := range tags {
		ref, err := reference.Parse(tag, nil)
		if err != nil {
			return nil, err
		}
		names = append(names, ref.Name)
	}
	return names, nil
}

// isComplete reports whether the name has a registry, and not only a repository or a tag.
func isComplete(name string) bool {
	registry, _, ok := strings.Cut(name, "/")
	return ok && (strings.ContainsAny(registry, ".:") || registry == "localhost")
}

func isDirectory(name string) bool {
	st, err := os.Stat(name)
	return err == nil && st.IsDir()
}
