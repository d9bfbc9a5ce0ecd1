// Package transfer moves images between the store and registries, archives and directories.
package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/rootless-containers/subuidless/internal/image/store"
)

// manifest is a manifest or an index as its source has it.
type manifest struct {
	raw       []byte
	mediaType types.MediaType
	digest    v1.Hash
}

func (m *manifest) descriptor() v1.Descriptor {
	return v1.Descriptor{MediaType: m.mediaType, Size: int64(len(m.raw)), Digest: m.digest}
}

// source is where an image comes from.
type source interface {
	// manifest returns the manifest or index with that digest, or that of the image if digest
	// is nil.
	manifest(ctx context.Context, digest *v1.Hash) (*manifest, error)
	// blob returns the content of a blob from an offset on.
	blob(ctx context.Context, d v1.Descriptor, offset int64) (io.ReadCloser, error)
}

// maxManifest is the size of the largest manifest or configuration that is accepted, in bytes:
// the limit that the distribution-spec recommends to registries.
const maxManifest = 4 << 20

// newManifest returns the manifest raw. It fails unless that has the digest want, if not nil.
func newManifest(raw []byte, mediaType types.MediaType, want *v1.Hash) (*manifest, error) {
	sum := sha256.Sum256(raw)
	m := &manifest{raw: raw, mediaType: mediaType, digest: v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}}
	if want != nil && *want != m.digest {
		return nil, fmt.Errorf("manifest %s: %w: it has %s", want, store.ErrDigest, m.digest)
	}
	if m.mediaType == "" {
		var head struct {
			MediaType types.MediaType   `json:"mediaType"`
			Manifests []json.RawMessage `json:"manifests"`
		}
		if err := json.Unmarshal(raw, &head); err != nil {
			return nil, fmt.Errorf("manifest %s: %w", m.digest, err)
		}
		switch {
		case head.MediaType != "":
			m.mediaType = head.MediaType
		case head.Manifests != nil:
			m.mediaType = types.OCIImageIndex
		default:
			m.mediaType = types.OCIManifestSchema1
		}
	}
	return m, nil
}

// file is an open file of an image in a directory or archive.
type file interface {
	io.ReadSeeker
	io.Closer
}

// files opens the files of an image in a directory or archive. The error is fs.ErrNotExist if
// there is none of that name.
type files interface {
	open(name string) (file, error)
	io.Closer
}

func readFile(fs files, name string) ([]byte, error) {
	f, err := fs.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err == nil && len(b) > maxManifest {
		err = fmt.Errorf("%s is larger than %d bytes", name, maxManifest)
	}
	return b, err
}

func openAt(fs files, name string, offset int64) (io.ReadCloser, error) {
	f, err := fs.open(name)
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// layoutSource is an image of an OCI image layout.
type layoutSource struct {
	files
	tag string // the name in the layout; empty: its only image
}

// layoutName is the annotation of the image-spec with the name of an image in a layout.
const layoutName = "org.opencontainers.image.ref.name"

func blobName(digest v1.Hash) string { return path.Join("blobs", digest.Algorithm, digest.Hex) }

func (s *layoutSource) manifest(_ context.Context, digest *v1.Hash) (*manifest, error) {
	if digest != nil {
		raw, err := readFile(s.files, blobName(*digest))
		if err != nil {
			return nil, err
		}
		return newManifest(raw, "", digest)
	}
	raw, err := readFile(s.files, "index.json")
	if err != nil {
		return nil, fmt.Errorf("not an OCI image layout: %w", err)
	}
	var index v1.IndexManifest
	if err := json.Unmarshal(raw, &index); err != nil {
		return nil, fmt.Errorf("index.json: %w", err)
	}
	var names []string
	for _, d := range index.Manifests {
		name := d.Annotations[layoutName]
		if s.tag != "" && name == s.tag || s.tag == "" && len(index.Manifests) == 1 {
			return s.manifest(context.Background(), &d.Digest)
		}
		names = append(names, name)
	}
	if s.tag != "" {
		return nil, fmt.Errorf("the layout has no image %q: %w (it has %q)", s.tag, store.ErrNotFound, names)
	}
	return nil, fmt.Errorf("the layout has %d images (%q); add a colon and the name of one", len(names), names)
}

func (s *layoutSource) blob(_ context.Context, d v1.Descriptor, offset int64) (io.ReadCloser, error) {
	return openAt(s.files, blobName(d.Digest), offset)
}

// dirSource is an image in the format dir of containers-transports(5).
type dirSource struct{ files }

func (s *dirSource) manifest(_ context.Context, digest *v1.Hash) (*manifest, error) {
	name := "manifest.json"
	if digest != nil {
		name = digest.Hex + ".manifest.json"
	}
	raw, err := readFile(s.files, name)
	if err != nil {
		return nil, err
	}
	return newManifest(raw, "", digest)
}

func (s *dirSource) blob(_ context.Context, d v1.Descriptor, offset int64) (io.ReadCloser, error) {
	return openAt(s.files, d.Digest.Hex, offset)
}
