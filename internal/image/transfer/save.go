package transfer

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/rootless-containers/subuidless/internal/image/reference"
	"github.com/rootless-containers/subuidless/internal/image/store"
)

// Push copies an image of the store to where ref says.
func Push(ctx context.Context, s *store.Store, i *store.Image, to reference.Reference, o Options) error {
	use, err := s.Use()
	if err != nil {
		return err
	}
	defer use.Unlock()
	switch to.Transport {
	case reference.Registry:
		return pushRegistry(ctx, s, i, to, o)
	case reference.Layout:
		return saveDir(ctx, to.Path, func(out sink) error { return writeLayout(out, s, []*store.Image{i}, to.Tag) })
	case reference.Directory:
		return saveDir(ctx, to.Path, func(out sink) error { return writeDir(out, s, i) })
	}
	return SaveFile(ctx, to.Path, func(w io.Writer) error {
		if to.Transport == reference.LayoutArchive {
			return writeArchive(w, func(out sink) error { return writeLayout(out, s, []*store.Image{i}, to.Tag) })
		}
		return writeDocker(w, s, []*store.Image{i})
	})
}

// The formats of Save, as podman names them.
const (
	FormatDockerArchive = "docker-archive"
	FormatLayoutArchive = "oci-archive"
	FormatLayout        = "oci-dir"
	FormatDirectory     = "docker-dir"
)

// Save writes images in a format to the path, which is a directory for two of them, and to
// the standard output if it is "-".
func Save(ctx context.Context, s *store.Store, images []*store.Image, format, path string) error {
	use, err := s.Use()
	if err != nil {
		return err
	}
	defer use.Unlock()
	switch format {
	case FormatDockerArchive:
		return SaveFile(ctx, path, func(w io.Writer) error { return writeDocker(w, s, images) })
	case FormatLayoutArchive:
		return SaveFile(ctx, path, func(w io.Writer) error {
			return writeArchive(w, func(out sink) error { return writeLayout(out, s, images, "") })
		})
	case FormatLayout:
		return saveDir(ctx, path, func(out sink) error { return writeLayout(out, s, images, "") })
	case FormatDirectory:
		if len(images) != 1 {
			return fmt.Errorf("format %s: a directory has room for one image", format)
		}
		return saveDir(ctx, path, func(out sink) error { return writeDir(out, s, images[0]) })
	}
	return fmt.Errorf("format %q: must be %s, %s, %s or %s", format, FormatDockerArchive, FormatLayoutArchive, FormatLayout, FormatDirectory)
}

// SaveFile writes the file name, which appears when it is complete. It fails when ctx ends.
func SaveFile(ctx context.Context, name string, write func(io.Writer) error) error {
	if name == "-" {
		return write(newBlocking(ctx, os.Stdout.Write))
	}
	if st, err := os.Stat(name); err == nil && !st.Mode().IsRegular() {
		f, err := os.OpenFile(name, os.O_WRONLY, 0) // a pipe or device
		if err != nil {
			return err
		}
		return errors.Join(write(newBlocking(ctx, f.Write)), f.Close())
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	err = errors.Join(f.Chmod(0o644), write(writer{ctx, f}))
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// writer is an io.Writer that fails when ctx ends.
type writer struct {
	ctx context.Context //nolint:containedctx // of one file
	w   io.Writer
}

func (w writer) Write(b []byte) (int, error) {
	if err := context.Cause(w.ctx); err != nil {
		return 0, err
	}
	return w.w.Write(b)
}

// sink receives the files of an image.
type sink interface {
	put(name string, size int64, r io.Reader) error
}

func putBytes(out sink, name string, b []byte) error {
	return out.put(name, int64(len(b)), bytes.NewReader(b))
}

func putBlob(out sink, name string, s *store.Store, digest v1.Hash) error {
	f, err := os.Open(s.BlobPath(digest))
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	return out.put(name, st.Size(), f)
}

// dirSink writes files in a directory.
type dirSink struct {
	ctx context.Context //nolint:containedctx // of one image
	dir string
}

func saveDir(ctx context.Context, dir string, write func(sink) error) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return write(dirSink{ctx, dir})
}

func (d dirSink) put(name string, _ int64, r io.Reader) error {
	name = filepath.Join(d.dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return SaveFile(d.ctx, name, func(w io.Writer) error {
		_, err := io.Copy(w, r)
		return err
	})
}

// tarSink writes files in a tar archive, and the directories that they are in: skopeo, as a user that
// is not root, cannot create those that an archive lacks.
type tarSink struct {
	*tar.Writer
	dirs map[string]bool
}

func writeArchive(w io.Writer, write func(sink) error) error {
	t := tar.NewWriter(w)
	if err := write(tarSink{t, map[string]bool{".": true}}); err != nil {
		return err
	}
	return t.Close()
}

func (t tarSink) mkdir(name string) error {
	if t.dirs[name] {
		return nil
	}
	t.dirs[name] = true
	if err := t.mkdir(path.Dir(name)); err != nil {
		return err
	}
	return t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755})
}

func (t tarSink) put(name string, size int64, r io.Reader) error {
	if err := t.mkdir(path.Dir(name)); err != nil {
		return err
	}
	if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size}); err != nil {
		return err
	}
	_, err := io.Copy(t, r)
	return err
}

// blobsOf returns the digests of the configuration and the layers of an image.
func blobsOf(i *store.Image) []v1.Hash {
	all := []v1.Hash{i.Manifest.Config.Digest}
	for _, l := range i.Manifest.Layers {
		all = append(all, l.Digest)
	}
	return all
}

// writeLayout writes an OCI image layout, which keeps the images that a directory has. Name is
// the one of the image in it; empty means its own.
func writeLayout(out sink, s *store.Store, images []*store.Image, name string) error {
	index := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{}}
	if dir, ok := out.(dirSink); ok {
		raw, err := os.ReadFile(filepath.Join(dir.dir, "index.json"))
		if err == nil {
			err = json.Unmarshal(raw, &index)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	written := map[v1.Hash]bool{}
	for _, i := range images {
		d, err := writeOCI(out, s, i, written)
		if err != nil {
			return err
		}
		d.Annotations = map[string]string{}
		switch {
		case name != "":
			d.Annotations[layoutName] = name
		case i.Name != "":
			d.Annotations[layoutName] = i.Name
		}
		index.Manifests = append(withoutName(index.Manifests, d.Annotations[layoutName]), d)
	}
	raw, err := json.Marshal(index)
	if err != nil {
		return err
	}
	if err := putBytes(out, "oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)); err != nil {
		return err
	}
	return putBytes(out, "index.json", raw)
}

// writeOCI writes the blobs of an image that are not among those written, and returns its descriptor.
func writeOCI(out sink, s *store.Store, i *store.Image, written map[v1.Hash]bool) (v1.Descriptor, error) {
	converted := map[v1.Hash]v1.Descriptor{} // by the digest in the store
	for _, one := range i.Manifests() {
		raw, d, err := ociManifest(s, one)
		if err != nil {
			return d, err
		}
		if d.Digest != one.Descriptor.Digest {
			converted[one.Descriptor.Digest] = d
		}
		if !written[d.Digest] {
			written[d.Digest] = true
			if err := putBytes(out, blobName(d.Digest), raw); err != nil {
				return d, err
			}
		}
		for _, digest := range blobsOf(one) {
			if written[digest] {
				continue
			}
			written[digest] = true
			if err := putBlob(out, blobName(digest), s, digest); err != nil {
				return d, err
			}
		}
		if i.Platforms == nil {
			return d, nil
		}
	}
	raw, d, err := ociIndex(s, i, converted)
	if err != nil || written[d.Digest] {
		return d, err
	}
	written[d.Digest] = true
	return d, putBytes(out, blobName(d.Digest), raw)
}

// ociIndex returns the index of an image for a layout, and its descriptor. Converted are those manifests that
// ociManifest has changed, by their digest in the store.
func ociIndex(s *store.Store, i *store.Image, converted map[v1.Hash]v1.Descriptor) ([]byte, v1.Descriptor, error) {
	raw, err := s.ReadBlob(i.Entry.Digest)
	if err != nil {
		return nil, v1.Descriptor{}, err
	}
	if i.Entry.MediaType != types.OCIImageIndex || len(converted) > 0 {
		index, err := v1.ParseIndexManifest(bytes.NewReader(raw))
		if err != nil {
			return nil, v1.Descriptor{}, err
		}
		index.MediaType = types.OCIImageIndex
		for n, d := range index.Manifests {
			if to, ok := converted[d.Digest]; ok {
				d.MediaType, d.Size, d.Digest = to.MediaType, to.Size, to.Digest
				index.Manifests[n] = d
			}
		}
		if raw, err = json.Marshal(index); err != nil {
			return nil, v1.Descriptor{}, err
		}
	}
	m, err := newManifest(raw, types.OCIImageIndex, nil)
	if err != nil {
		return nil, v1.Descriptor{}, err
	}
	return raw, m.descriptor(), nil
}

// ociManifest returns the manifest of an image for a layout, and its descriptor. Layouts cannot have
// docker's manifests, so it converts them to OCI's, with the same configuration and layers.
func ociManifest(s *store.Store, i *store.Image) ([]byte, v1.Descriptor, error) {
	raw, err := s.ReadBlob(i.Descriptor.Digest)
	if err != nil {
		return nil, v1.Descriptor{}, err
	}
	if i.Descriptor.MediaType == types.DockerManifestSchema2 {
		m := i.Manifest.DeepCopy()
		m.MediaType, m.Config.MediaType = types.OCIManifestSchema1, types.OCIConfigJSON
		for n := range m.Layers {
			m.Layers[n].MediaType = ociLayer(m.Layers[n].MediaType)
		}
		if raw, err = json.Marshal(m); err != nil {
			return nil, v1.Descriptor{}, err
		}
	}
	m, err := newManifest(raw, types.OCIManifestSchema1, nil)
	if err != nil {
		return nil, v1.Descriptor{}, err
	}
	d := m.descriptor()
	d.Platform = i.Descriptor.Platform
	return raw, d, nil
}

// ociLayer returns the type of OCI for a layer of docker.
func ociLayer(t types.MediaType) types.MediaType {
	switch t {
	case types.DockerLayer:
		return types.OCILayer
	case types.DockerUncompressedLayer:
		return types.OCIUncompressedLayer
	case types.DockerForeignLayer:
		return types.OCIRestrictedLayer
	case dockerZstdLayer:
		return types.OCILayerZStd
	}
	return t
}

func withoutName(all []v1.Descriptor, name string) []v1.Descriptor {
	var kept []v1.Descriptor
	for _, d := range all {
		if d.Annotations[layoutName] != name {
			kept = append(kept, d)
		}
	}
	return kept
}

// writeDir writes the format dir of containers-transports(5).
func writeDir(out sink, s *store.Store, i *store.Image) error {
	if err := putBytes(out, "version", []byte("Directory Transport Version: 1.1\n")); err != nil {
		return err
	}
	written := map[v1.Hash]bool{}
	for _, one := range i.Manifests() {
		for _, digest := range blobsOf(one) {
			if written[digest] {
				continue
			}
			written[digest] = true
			if err := putBlob(out, digest.Hex, s, digest); err != nil {
				return err
			}
		}
		if i.Platforms != nil {
			d := one.Descriptor.Digest
			if err := putBlob(out, d.Hex+".manifest.json", s, d); err != nil {
				return err
			}
		}
	}
	return putBlob(out, "manifest.json", s, i.Top().Digest)
}

// writeDocker writes an archive that docker load accepts.
func writeDocker(w io.Writer, s *store.Store, images []*store.Image) error {
	all := map[name.Reference]v1.Image{}
	opened := map[v1.Hash]v1.Image{} // one with several names is written once
	for _, i := range images {
		if len(i.Platforms) > 1 {
			return fmt.Errorf("image %s has %d platforms, and an archive of docker has room for one: choose it with --platform, or use the format %s", i.Name, len(i.Platforms), FormatLayoutArchive)
		}
		image, ok := opened[i.Descriptor.Digest]
		if !ok {
			var err error
			if image, err = openStored(s, i); err != nil {
				return err
			}
			opened[i.Descriptor.Digest] = image
		}
		ref, err := name.NewDigest("image@" + i.Descriptor.Digest.String()) // no tag
		if err != nil {
			return err
		}
		if i.Name != "" && !strings.Contains(i.Name, "@") {
			if err := addTag(all, i.Name, image); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		all[ref] = image
	}
	return tarball.MultiRefWrite(all, w)
}

func addTag(all map[name.Reference]v1.Image, text string, image v1.Image) error {
	tag, err := name.NewTag(text)
	if err != nil {
		return err
	}
	all[tag] = image
	return nil
}
