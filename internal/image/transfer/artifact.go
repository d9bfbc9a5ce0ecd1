package transfer

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/rootless-containers/subuidless/internal/image/reference"
	"github.com/rootless-containers/subuidless/internal/image/store"
)

// Remote is an image of a registry before its layers are fetched: manifest and configuration.
type Remote struct {
	Manifest *v1.Manifest
	Config   []byte // of the media type that the manifest says
	src      source
}

// OpenRemote fetches the manifest and the configuration of the image ref, which is one of a registry.
// The error wraps store.ErrNotFound if the registry has no such image.
func OpenRemote(ctx context.Context, s *store.Store, ref reference.Reference, o Options) (*Remote, error) {
	src, err := openSource(ctx, s, ref, o)
	if err != nil {
		return nil, err
	}
	top, err := src.manifest(ctx, nil)
	if err == nil {
		top, err = choose(ctx, s, src, top, o.Platform)
	}
	if err != nil {
		return nil, err
	}
	m, err := v1.ParseManifest(bytes.NewReader(top.raw))
	if err != nil {
		return nil, fmt.Errorf("manifest %s: %w", top.digest, err)
	}
	config, err := fetchConfigBlob(ctx, s, src, m.Config)
	if err != nil {
		return nil, err
	}
	return &Remote{m, config, src}, nil
}

// Fetch adds a blob of the image to the store, unless that has it.
func (r *Remote) Fetch(ctx context.Context, s *store.Store, d v1.Descriptor) error {
	return retry(ctx, func() error {
		return s.Fetch(ctx, d, func(ctx context.Context, offset int64) (io.ReadCloser, error) { return r.src.blob(ctx, d, offset) }, nil)
	})
}

// PushRemote pushes a manifest of OCI, with layers of the store, as to, which is a name in a registry.
// Config is its configuration, of any media type: PushRemote sets its digest and size in m.
func PushRemote(ctx context.Context, s *store.Store, to reference.Reference, m *v1.Manifest, config []byte, o Options) error {
	ref, insecure, err := pushTarget(to, o)
	if err != nil {
		return err
	}
	if m.Config.Digest, m.Config.Size, err = v1.SHA256(bytes.NewReader(config)); err != nil {
		return err
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return err
	}
	image, err := partial.CompressedToImage(&storedImage{s, m, raw, config, m.MediaType})
	if err != nil {
		return err
	}
	options := append(remoteOptions(o.AuthFile, insecure), remote.WithContext(ctx), remote.WithJobs(parallel))
	if err := remote.Write(ref, image, options...); err != nil {
		return explainRegistry(ref, err)
	}
	return nil
}

// pushTarget returns where the image to is pushed, and whether without a valid certificate.
func pushTarget(to reference.Reference, o Options) (ref name.Reference, insecure bool, err error) {
	home, err := o.Registries.Home(to.Name)
	if err != nil {
		return nil, false, err
	}
	home.Insecure = home.Insecure || o.Insecure
	ref, err = home.Remote()
	return ref, home.Insecure, err
}

// openStored returns an image of the store, which need not have a name there.
func openStored(s *store.Store, i *store.Image) (v1.Image, error) {
	raw, err := s.ReadBlob(i.Descriptor.Digest)
	if err != nil {
		return nil, err
	}
	config, err := s.ReadBlob(i.Manifest.Config.Digest)
	if err != nil {
		return nil, err
	}
	return partial.CompressedToImage(&storedImage{s, &i.Manifest, raw, config, i.Descriptor.MediaType})
}

// storedImage is a partial.CompressedImageCore whose layers are in the store.
type storedImage struct {
	store       *store.Store
	m           *v1.Manifest
	raw, config []byte
	mediaType   types.MediaType
}

func (i *storedImage) RawManifest() ([]byte, error)        { return i.raw, nil }
func (i *storedImage) RawConfigFile() ([]byte, error)      { return i.config, nil }
func (i *storedImage) MediaType() (types.MediaType, error) { return i.mediaType, nil }
func (i *storedImage) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	for _, d := range i.m.Layers {
		if d.Digest == h {
			return &storedLayer{i.store, d}, nil
		}
	}
	return nil, fmt.Errorf("layer %s: %w", h, store.ErrNotFound)
}

// storedLayer is a partial.CompressedLayer in the store.
type storedLayer struct {
	store *store.Store
	d     v1.Descriptor
}

func (l *storedLayer) Digest() (v1.Hash, error)            { return l.d.Digest, nil }
func (l *storedLayer) Size() (int64, error)                { return l.d.Size, nil }
func (l *storedLayer) MediaType() (types.MediaType, error) { return l.d.MediaType, nil }
func (l *storedLayer) Compressed() (io.ReadCloser, error) {
	return os.Open(l.store.BlobPath(l.d.Digest))
}
