package transfer

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync/atomic"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/rootless-containers/subuidless/internal/image/reference"
)

// mirroredSource is an image that several registries have: mirrors, and its own. What one of
// them lacks or refuses, the next one is asked for. All but the first manifest is verified by
// its digest, so it does not matter where it is from.
type mirroredSource struct {
	registries []*registrySource
	first      atomic.Int32 // index of the one that has had the manifest; those before it had not
}

func newMirroredSource(ref reference.Reference, o Options) (*mirroredSource, error) {
	endpoints, err := o.Registries.Endpoints(ref.Name)
	if err != nil {
		return nil, err
	}
	s := new(mirroredSource)
	for _, e := range endpoints {
		e.Insecure = e.Insecure || o.Insecure
		r, err := newRegistrySource(e, o.AuthFile)
		if err != nil {
			return nil, err
		}
		s.registries = append(s.registries, r)
	}
	return s, nil
}

// ask calls f with one registry after the other until it succeeds.
func (s *mirroredSource) ask(ctx context.Context, f func(*registrySource) error) (int32, error) {
	var errs []error
	for i := s.first.Load(); int(i) < len(s.registries); i++ {
		err := f(s.registries[i])
		if err == nil {
			return i, nil
		}
		if ctx.Err() != nil {
			return i, err
		}
		errs = append(errs, err)
	}
	return 0, errors.Join(errs...)
}

// Tags returns the tags of the repository of ref, a name in a registry, sorted.
func Tags(ctx context.Context, ref reference.Reference, o Options) (tags []string, err error) {
	s, err := newMirroredSource(ref, o)
	if err != nil {
		return nil, err
	}
	_, err = s.ask(ctx, func(r *registrySource) (err error) {
		tags, err = r.tags(ctx)
		return err
	})
	slices.Sort(tags)
	return tags, err
}

func (s *mirroredSource) manifest(ctx context.Context, digest *v1.Hash) (m *manifest, err error) {
	i, err := s.ask(ctx, func(r *registrySource) (err error) {
		m, err = r.manifest(ctx, digest)
		return err
	})
	if err == nil && digest == nil {
		s.first.Store(i)
	}
	return m, err
}

func (s *mirroredSource) blob(ctx context.Context, d v1.Descriptor, offset int64) (body io.ReadCloser, err error) {
	_, err = s.ask(ctx, func(r *registrySource) (err error) {
		body, err = r.blob(ctx, d, offset)
		return err
	})
	return body, err
}
