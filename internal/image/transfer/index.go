package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/rootless-containers/subuidless/internal/image/store"
)

// errNotWhole is wrapped by errors about an index of which something is missing or not supported.
var errNotWhole = errors.New("the image cannot be kept for all platforms")

// indexOf has the manifests of an index.
type indexOf struct {
	images []*manifest // for linux
	others []*manifest // see store.Image
	native *manifest   // the one of images for this machine; nil: there is none
}

// isForSeveral reports whether the index says more than its only image.
func (x *indexOf) isForSeveral() bool { return len(x.images) > 1 || len(x.others) == 0 }

// readIndex fetches the manifests of the index top.
func readIndex(ctx context.Context, src source, top *manifest) (*indexOf, error) {
	index, err := v1.ParseIndexManifest(bytes.NewReader(top.raw))
	if err != nil {
		return nil, fmt.Errorf("index %s: %w", top.digest, err)
	}
	native, err := match(index, "linux/"+runtime.GOARCH)
	if err != nil {
		native = new(v1.Descriptor) // that is no error here
	}
	x := new(indexOf)
	for _, d := range index.Manifests {
		if !d.MediaType.IsImage() {
			return nil, fmt.Errorf("index %s: %w: the media type of %s is %s", top.digest, errNotWhole, d.Digest, d.MediaType)
		}
		m, err := src.manifest(ctx, &d.Digest)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("index %s: %w: %s is missing", top.digest, errNotWhole, d.Digest)
		}
		if err != nil {
			return nil, err
		}
		m.mediaType = d.MediaType
		switch {
		case !store.IsForLinux(d):
			x.others = append(x.others, m)
		case d.Digest == native.Digest:
			x.native = m
			fallthrough
		default:
			x.images = append(x.images, m)
		}
	}
	if len(x.images) == 0 {
		return nil, fmt.Errorf("index %s: %w: none of its images is for linux", top.digest, errNotWhole)
	}
	return x, nil
}

// addIndex adds an index with all its manifests to the store, under names. The image for this machine is
// unpacked, and the others when they are used.
func addIndex(ctx context.Context, s *store.Store, use store.Lock, src source, top *manifest, all *indexOf, names []string, o Options) (*store.Image, error) {
	for _, m := range all.images {
		if _, err := addManifest(ctx, s, use, src, m, m == all.native, o); err != nil {
			return nil, err
		}
	}
	for _, m := range all.others {
		if err := addOther(ctx, s, src, m, o); err != nil {
			return nil, err
		}
	}
	if _, err := s.PutBlob(top.raw); err != nil {
		return nil, err
	}
	for _, name := range names {
		if err := s.Tag(top.descriptor(), top.digest, name); err != nil {
			return nil, err
		}
	}
	return s.Load(top.digest, names[0])
}

// addOther adds a manifest that is not of an image for linux to the store, with what it consists of.
func addOther(ctx context.Context, s *store.Store, src source, m *manifest, o Options) error {
	parsed, err := v1.ParseManifest(bytes.NewReader(m.raw))
	if err != nil {
		return fmt.Errorf("manifest %s: %w", m.digest, err)
	}
	if _, err := fetchConfigBlob(ctx, s, src, parsed.Config); err != nil {
		return err
	}
	if err := fetchLayers(ctx, s, src, parsed.Layers, o, waitForAll); err != nil {
		return err
	}
	_, err = s.PutBlob(m.raw)
	return err
}
