package transfer

import (
	"context"
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"

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
		image, err := s.Find(text, o.Registries.Aliases)
		if err == nil && !fits(image, o.Platform) {
			err = fmt.Errorf("image %s in the store is for %s: %w", text, image.Config.Platform(), store.ErrNotFound)
		}
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

// fits reports whether the image is for the platform OS/ARCH[/VARIANT]; empty means any.
func fits(image *store.Image, platform string) bool {
	p, err := v1.ParsePlatform(platform)
	if platform == "" || err != nil {
		return true
	}
	return p.OS == image.Config.OS && p.Architecture == image.Config.Architecture &&
		(p.Variant == "" || image.Config.Variant == "" || p.Variant == image.Config.Variant)
}
