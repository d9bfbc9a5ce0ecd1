package transfer

import (
	"context"
	"errors"

	"github.com/rootless-containers/subuidless/internal/image/reference"
	"github.com/rootless-containers/subuidless/internal/image/store"
)

// When Obtain pulls, as docker names it.
const (
	PullMissing = "missing"
	PullAlways  = "always"
	PullNever   = "never"
)

// Obtain returns the image of the store that text names, with all its layers unpacked. It pulls
// the image if needed, or as the Pull constant when says. The caller holds the lock use, and
// o.Registries is not nil.
func Obtain(ctx context.Context, s *store.Store, use store.Lock, text, when string, o Options) (*store.Image, error) {
	image, err := FindOrPull(ctx, s, text, when, o)
	if err != nil {
		return nil, err
	}
	return image, Unpack(ctx, s, use, image, o)
}

// FindOrPull is Obtain without unpacking.
func FindOrPull(ctx context.Context, s *store.Store, text, when string, o Options) (*store.Image, error) {
	if when != PullAlways {
		image, err := s.FindFor(text, o.Platform, o.Registries.Aliases)
		if err == nil || when == PullNever || !errors.Is(err, store.ErrNotFound) {
			return image, err
		}
	}
	ref, err := reference.Parse(text, o.Registries.Aliases)
	if err != nil {
		return nil, err
	}
	defer o.Progress.Wait()
	return Pull(ctx, s, ref, nil, o)
}

// FindOrFetchConfig returns the configuration of the image that text names. Of one in a registry that
// FindOrPull would pull, it fetches nothing else.
func FindOrFetchConfig(ctx context.Context, s *store.Store, text, when string, o Options) ([]byte, error) {
	ref, err := reference.Parse(text, o.Registries.Aliases)
	if when != PullNever && err == nil && ref.Transport == reference.Registry {
		if _, err := s.FindFor(text, o.Platform, o.Registries.Aliases); when == PullAlways || errors.Is(err, store.ErrNotFound) {
			r, err := OpenRemote(ctx, s, ref, o)
			if err != nil {
				return nil, err
			}
			return r.Config, nil
		}
	}
	image, err := FindOrPull(ctx, s, text, when, o)
	if err != nil {
		return nil, err
	}
	return s.ReadBlob(image.ID())
}
