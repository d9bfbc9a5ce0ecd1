package transfer

import (
	"bytes"
	"context"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/rootless-containers/subuidless/internal/image/reference"
	"github.com/rootless-containers/subuidless/internal/image/store"
)

func pushRegistry(ctx context.Context, s *store.Store, i *store.Image, to reference.Reference, o Options) error {
	ref, insecure, err := pushTarget(to, o)
	if err != nil {
		return err
	}
	write, err := writeTo(s, i)
	if err != nil {
		return err
	}
	updates := make(chan v1.Update, 16)
	bar := o.Progress.Start("Pushing "+to.Name, i.Size())
	done := make(chan struct{})
	go func() {
		defer close(done)
		var have int64
		for u := range updates {
			bar.Add(u.Complete - have)
			have = u.Complete
		}
	}()
	options := append(remoteOptions(o.AuthFile, insecure), remote.WithContext(ctx), remote.WithProgress(updates), remote.WithJobs(parallel))
	err = write(ref, options...)
	<-done
	bar.End(err == nil)
	if err != nil {
		return explainRegistry(ref, err)
	}
	return nil
}

// writeTo returns a function that writes an image of the store, or its index with all images, to a registry.
func writeTo(s *store.Store, i *store.Image) (func(name.Reference, ...remote.Option) error, error) {
	if i.Platforms == nil {
		image, err := openStored(s, i)
		return func(ref name.Reference, o ...remote.Option) error { return remote.Write(ref, image, o...) }, err
	}
	index, err := openIndex(s, i)
	return func(ref name.Reference, o ...remote.Option) error { return remote.WriteIndex(ref, index, o...) }, err
}

// storedIndex is a v1.ImageIndex that the store has whole.
type storedIndex struct {
	store *store.Store
	image *store.Image
	raw   []byte
	m     *v1.IndexManifest
}

func openIndex(s *store.Store, i *store.Image) (*storedIndex, error) {
	raw, err := s.ReadBlob(i.Entry.Digest)
	if err != nil {
		return nil, err
	}
	m, err := v1.ParseIndexManifest(bytes.NewReader(raw))
	return &storedIndex{s, i, raw, m}, err
}

func (x *storedIndex) MediaType() (types.MediaType, error)       { return x.image.Entry.MediaType, nil }
func (x *storedIndex) Digest() (v1.Hash, error)                  { return x.image.Entry.Digest, nil }
func (x *storedIndex) Size() (int64, error)                      { return int64(len(x.raw)), nil }
func (x *storedIndex) IndexManifest() (*v1.IndexManifest, error) { return x.m, nil }
func (x *storedIndex) RawManifest() ([]byte, error)              { return x.raw, nil }

func (x *storedIndex) Image(h v1.Hash) (v1.Image, error) {
	for _, one := range x.image.Manifests() {
		if one.Descriptor.Digest == h {
			return openStored(x.store, one)
		}
	}
	return nil, fmt.Errorf("manifest %s: %w", h, store.ErrNotFound)
}

// ImageIndex implements v1.ImageIndex: there are no indexes in one that the store has whole.
func (x *storedIndex) ImageIndex(h v1.Hash) (v1.ImageIndex, error) {
	return nil, fmt.Errorf("index %s: %w", h, store.ErrNotFound)
}
