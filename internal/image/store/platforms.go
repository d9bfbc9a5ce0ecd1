package store

import (
	"cmp"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/rootless-containers/subuidless/internal/image/reference"
)

// LoadIndex returns the image with the index d, which is in the store with all that it needs. The image
// need not have the name yet.
func (s *Store) LoadIndex(d v1.Descriptor, name string) (*Image, error) {
	i := &Image{Name: name, Digest: d.Digest, Entry: d}
	return i, s.loadIndex(i)
}

// loadIndex reads the images of an index that the store has whole. Those fields of i that are about a
// single image become those of the one for this machine, or of the first one.
func (s *Store) loadIndex(i *Image) error {
	var index v1.IndexManifest
	if err := s.readBlobJSON(i.Entry.Digest, &index); err != nil {
		return err
	}
	for _, d := range index.Manifests {
		p := &Image{Name: i.Name, Repository: i.Repository, Digest: i.Digest, Entry: i.Entry}
		if !IsForLinux(d) {
			p.Descriptor = d
			if err := s.readBlobJSON(d.Digest, &p.Manifest); err != nil {
				return err
			}
			i.Others = append(i.Others, p)
			continue
		}
		if err := s.loadManifest(p, d); err != nil {
			return fmt.Errorf("%s: %w", d.Platform, err)
		}
		i.Platforms = append(i.Platforms, p)
	}
	if len(i.Platforms) == 0 {
		return fmt.Errorf("index %s has no images for linux", i.Entry.Digest)
	}
	one := cmp.Or(i.For("linux/"+runtime.GOARCH), i.Platforms[0])
	i.Descriptor, i.Manifest, i.Config = one.Descriptor, one.Manifest, one.Config
	return nil
}

// loadManifest reads the manifest d and its configuration.
func (s *Store) loadManifest(i *Image, d v1.Descriptor) error {
	i.Descriptor = d
	if err := s.readBlobJSON(d.Digest, &i.Manifest); err != nil {
		return err
	}
	return s.readBlobJSON(i.Manifest.Config.Digest, &i.Config)
}

// Top returns the descriptor of the index if i has all its platforms, or else of the manifest.
func (i *Image) Top() v1.Descriptor {
	if i.Platforms != nil {
		return i.Entry
	}
	return i.Descriptor
}

// All returns the images of an index, or else i itself.
func (i *Image) All() []*Image {
	if i.Platforms != nil {
		return i.Platforms
	}
	return []*Image{i}
}

// Manifests returns all manifests of an index, or else i itself.
func (i *Image) Manifests() []*Image { return slices.Concat(i.All(), i.Others) }

// IsForLinux reports whether d, of an index, is an image for linux.
func IsForLinux(d v1.Descriptor) bool {
	return d.MediaType.IsImage() && d.Platform != nil && d.Platform.OS == "linux"
}

// For returns the image for the platform OS/ARCH[/VARIANT], or nil if there is none. An empty platform
// means any.
func (i *Image) For(platform string) *Image {
	p, err := v1.ParsePlatform(platform)
	if platform == "" || err != nil {
		return i
	}
	for _, one := range i.All() {
		has := one.platform()
		if p.OS == has.OS && p.Architecture == has.Architecture && (p.Variant == "" || has.Variant == "" || p.Variant == has.Variant) {
			return one
		}
	}
	return nil
}

// FindFor is Find of an image for the platform OS/ARCH[/VARIANT]; empty means any. An image of another
// platform may have the name: then it returns one that the registry has under the same digest.
func (s *Store) FindFor(text, platform string, aliases reference.Aliases) (*Image, error) {
	named, err := s.Find(text, aliases)
	if err != nil {
		return nil, err
	}
	if one := named.For(platform); one != nil {
		return one, nil
	}
	images, _, err := s.Images()
	if err != nil {
		return nil, err
	}
	for _, i := range images {
		if i.Digest != named.Digest || i.Repository != named.Repository {
			continue
		}
		if one := i.For(platform); one != nil {
			return one, nil
		}
	}
	return nil, fmt.Errorf("image %s in the store is for %s: %w", text, named.Config.Platform(), ErrNotFound)
}

// TagBeside is Tag for an image that a registry has for several platforms, under the digest of their
// index. If an image of that index has the name already, it keeps it, unless d is the one for this
// machine: then d is in the store without a name, where FindFor finds it.
func (s *Store) TagBeside(d v1.Descriptor, digest v1.Hash, name string) error {
	return s.withIndex(func(index *v1.IndexManifest) (bool, error) {
		named := find(index, name)
		native := d.Platform == nil || d.Platform.Architecture == runtime.GOARCH
		if native || named == nil || named.Digest == d.Digest || named.Annotations[digestAnnotation] != digest.String() {
			return tag(index, d, digest, name), nil
		}
		for _, m := range index.Manifests {
			if m.Digest == d.Digest {
				return false, nil
			}
		}
		d := v1.Descriptor{MediaType: d.MediaType, Size: d.Size, Digest: d.Digest, Platform: d.Platform, Annotations: map[string]string{
			repositoryAnnotation: reference.Repository(name), digestAnnotation: digest.String(),
		}}
		index.Manifests = append(index.Manifests, d)
		return true, nil
	})
}

// AddPlatforms adds images of the store to the index with this name, which it creates if there is none. They
// replace images for the same platforms, which their descriptors say.
func (s *Store) AddPlatforms(name string, images []v1.Descriptor) error {
	return s.withIndex(func(index *v1.IndexManifest) (bool, error) {
		next := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
		if d := find(index, name); d != nil {
			if !d.MediaType.IsIndex() {
				return false, fmt.Errorf("image %s is for one platform, and has no index to add others to: remove it, or choose another name", name)
			}
			if err := s.readBlobJSON(d.Digest, &next); err != nil {
				return false, fmt.Errorf("image %s: %w", name, err)
			}
		}
		next.Manifests = slices.DeleteFunc(next.Manifests, func(old v1.Descriptor) bool {
			return old.Platform != nil && slices.ContainsFunc(images, func(d v1.Descriptor) bool { return d.Platform.Equals(*old.Platform) })
		})
		next.Manifests = append(next.Manifests, images...)
		d, err := s.PutIndex(&next)
		if err != nil {
			return false, err
		}
		return tag(index, d, d.Digest, name), nil
	})
}

// PutIndex stores an index, and returns its descriptor.
func (s *Store) PutIndex(index *v1.IndexManifest) (v1.Descriptor, error) {
	raw, err := json.Marshal(index)
	if err != nil {
		return v1.Descriptor{}, err
	}
	digest, err := s.PutBlob(raw)
	return v1.Descriptor{MediaType: index.MediaType, Size: int64(len(raw)), Digest: digest}, err
}

// platform returns the platform that the index says, or else the configuration.
func (i *Image) platform() v1.Platform {
	if i.Descriptor.Platform != nil {
		return *i.Descriptor.Platform
	}
	return v1.Platform{OS: i.Config.OS, Architecture: i.Config.Architecture, Variant: i.Config.Variant}
}

// HasID reports whether this is the ID of the image, or of one of its platforms.
func (i *Image) HasID(id string) bool {
	for _, one := range i.All() {
		if one.ID().String() == id {
			return true
		}
	}
	return false
}
