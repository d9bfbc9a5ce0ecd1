package store

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/image/reference"
	"github.com/rootless-containers/subuidless/internal/image/storedir"
)

// The annotations of an image in index.json.
const (
	// nameAnnotation is the name, as in docker.io/library/alpine:latest: see
	// org.opencontainers.image.ref.name of the image-spec. An image without one is dangling:
	// its name belongs to another image by now.
	nameAnnotation = "org.opencontainers.image.ref.name"
	// digestAnnotation is the digest by which the registry knows the image: that of an index,
	// if the image has been chosen from one.
	digestAnnotation = "io.github.rootless-containers.subuidless.digest"
	// repositoryAnnotation is the repository of a dangling image.
	repositoryAnnotation = "io.github.rootless-containers.subuidless.repository"
)

// Image is an image in the store, under one of its names.
type Image struct {
	Name       string        // complete name; empty if the image is dangling
	Repository string        // the repository of Name, or of the name that a dangling image had
	Digest     v1.Hash       // the digest by which the registry knows the image
	Entry      v1.Descriptor // in index.json: of the manifest, or of an index that the store has whole
	Descriptor v1.Descriptor // of the manifest

	Manifest v1.Manifest
	Config   v1.ConfigFile

	// Platforms are the images of the index, in its order. Nil: Entry is that of a manifest.
	Platforms []*Image
	// Others are those manifests of the index that are not of images for linux, such as attestations. They
	// have no Config.
	Others []*Image
}

// ID returns what identifies the image for users: the digest of the configuration.
func (i *Image) ID() v1.Hash { return i.Manifest.Config.Digest }

// Size returns the number of bytes of the compressed layers, of all platforms.
func (i *Image) Size() int64 {
	var sum int64
	for _, one := range i.All() {
		for _, l := range one.Manifest.Layers {
			sum += l.Size
		}
	}
	return sum
}

// Layers returns the ids of the unpacked layers, the topmost first.
func (i *Image) Layers() []string {
	ids := LayerIDs(i.Config.RootFS.DiffIDs)
	slices.Reverse(ids)
	return ids
}

// withIndex calls f with the index while it is locked, and writes it if f reports a change.
func (s *Store) withIndex(f func(*v1.IndexManifest) (changed bool, err error)) error {
	l, err := storedir.LockFile(s.path("locks", "index"), unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer l.Unlock()
	index, err := s.readIndex()
	if err != nil {
		return err
	}
	changed, err := f(index)
	if err != nil || !changed {
		return err
	}
	b, err := json.MarshalIndent(index, "", "  ")
	if err != nil {
		return err
	}
	return storedir.WriteFile(s.path(storedir.Index), append(b, '\n'))
}

func (s *Store) readIndex() (*v1.IndexManifest, error) {
	index := &v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{}}
	b, err := os.ReadFile(s.path(storedir.Index))
	if errors.Is(err, os.ErrNotExist) {
		return index, nil
	}
	if err == nil {
		if err = json.Unmarshal(b, index); err == nil {
			return index, nil
		}
		// Not as if there were no images: prune would remove them.
		err = fmt.Errorf("%s is damaged: %w (if you remove it, subuidless prune removes all images that are not pulled, loaded or built again)", s.path(storedir.Index), err)
	}
	return nil, err
}

// DamagedImage is the error about an image that cannot be read: its manifest or configuration is missing
// or damaged.
type DamagedImage struct {
	// Image has only what index.json says, and the manifest if that is whole.
	Image *Image
	Err   error
}

func (d *DamagedImage) Error() string {
	name := d.Label()
	return fmt.Sprintf("image %s is damaged: %v (subuidless store check --repair removes what is damaged, so that it can be pulled again; subuidless rmi %s removes the image)", name, d.Err, name)
}

func (d *DamagedImage) Unwrap() error { return d.Err }

// Label returns the name of the image, or else the beginning of the id that Find knows it by.
func (d *DamagedImage) Label() string { return cmp.Or(d.Image.Name, d.Image.shortID()) }

// Images returns all images, sorted by name; those with several names once for each. It also returns
// those that are damaged.
func (s *Store) Images() (all []*Image, damaged []*DamagedImage, err error) {
	index, err := s.readIndex()
	if err != nil {
		return nil, nil, err
	}
	for _, d := range index.Manifests {
		i, err := s.load(d)
		if broken := (*DamagedImage)(nil); errors.As(err, &broken) {
			damaged = append(damaged, broken)
			continue
		}
		all = append(all, i)
	}
	slices.SortFunc(all, func(a, b *Image) int {
		return cmp.Or(cmp.Compare(a.Repository, b.Repository), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Entry.Digest.Hex, b.Entry.Digest.Hex))
	})
	return all, damaged, nil
}

// Load returns the image with this manifest or index, by this name if it has that.
func (s *Store) Load(digest v1.Hash, name string) (*Image, error) {
	index, err := s.readIndex()
	if err != nil {
		return nil, err
	}
	has := func(d v1.Descriptor) bool { return d.Digest == digest }
	n := slices.IndexFunc(index.Manifests, func(d v1.Descriptor) bool { return has(d) && d.Annotations[nameAnnotation] == name })
	if n < 0 {
		n = slices.IndexFunc(index.Manifests, has)
	}
	if n < 0 {
		return nil, fmt.Errorf("image %s: %w in the store", digest, ErrNotFound)
	}
	return s.load(index.Manifests[n])
}

// load reads the image that a descriptor of the index describes. The error is a DamagedImage.
func (s *Store) load(d v1.Descriptor) (*Image, error) {
	i := &Image{Name: d.Annotations[nameAnnotation], Repository: d.Annotations[repositoryAnnotation], Digest: d.Digest, Entry: d}
	if i.Name != "" {
		i.Repository = reference.Repository(i.Name)
	}
	if digest, err := v1.NewHash(d.Annotations[digestAnnotation]); err == nil {
		i.Digest = digest
	}
	var err error
	if d.MediaType.IsIndex() {
		err = s.loadIndex(i)
	} else {
		err = s.loadManifest(i, d)
	}
	if err != nil {
		return nil, &DamagedImage{i, err}
	}
	return i, nil
}

// ErrNotFound is wrapped by errors about images and containers that the store does not have.
var ErrNotFound = storedir.ErrNotFound

// Find returns the image that text names: by a name, or by its id or the beginning of it. The error is
// a DamagedImage if that one is damaged.
func (s *Store) Find(text string, aliases reference.Aliases) (*Image, error) {
	index, err := s.readIndex()
	if err != nil {
		return nil, err
	}
	ref, refErr := reference.Parse(text, aliases)
	if refErr == nil && ref.Transport == reference.Registry {
		if d := find(index, ref.Name); d != nil {
			return s.load(*d)
		}
	}
	prefix := strings.TrimPrefix(text, "sha256:")
	if len(prefix) >= 3 && strings.Trim(prefix, "0123456789abcdef") == "" {
		return s.findByID(index, text, prefix)
	}
	if refErr != nil {
		return nil, refErr
	}
	return nil, fmt.Errorf("image %s: %w in the store (subuidless images lists those that are there)", text, ErrNotFound)
}

// IsName reports whether Find finds text as the name of an image, and not as an id.
func (s *Store) IsName(text string, aliases reference.Aliases) bool {
	index, err := s.readIndex()
	if err != nil {
		return false
	}
	ref, err := reference.Parse(text, aliases)
	return err == nil && ref.Transport == reference.Registry && find(index, ref.Name) != nil
}

// find returns the descriptor of the image with this complete name, or nil. A name with a
// digest finds an image of that repository, whatever its tag.
func find(index *v1.IndexManifest, full string) *v1.Descriptor {
	for i, d := range index.Manifests {
		if d.Annotations[nameAnnotation] == full {
			return &index.Manifests[i]
		}
	}
	repository, digest, ok := strings.Cut(full, "@")
	if !ok {
		return nil
	}
	for i, d := range index.Manifests {
		of := d.Annotations[nameAnnotation]
		if reference.Repository(of) == repository && (d.Digest.String() == digest || d.Annotations[digestAnnotation] == digest) {
			return &index.Manifests[i]
		}
	}
	return nil
}

func (s *Store) findByID(index *v1.IndexManifest, text, prefix string) (*Image, error) {
	var found *Image
	var damage error // of found
	for _, d := range index.Manifests {
		i, err := s.load(d)
		if broken := (*DamagedImage)(nil); errors.As(err, &broken) {
			i = broken.Image
		}
		if !strings.HasPrefix(d.Digest.Hex, prefix) {
			n := slices.IndexFunc(i.All(), func(one *Image) bool {
				return strings.HasPrefix(one.ID().Hex, prefix) || strings.HasPrefix(one.Descriptor.Digest.Hex, prefix)
			})
			if n < 0 {
				continue
			}
			i = i.All()[n]
		}
		// Two that are damaged may both have no ID.
		if found != nil && found.Entry.Digest != i.Entry.Digest && (found.ID() != i.ID() || i.ID() == v1.Hash{}) {
			return nil, fmt.Errorf("image %s: several images have an id that begins with it: %s and %s", text, found.shortID(), i.shortID())
		}
		if found == nil || damage != nil {
			found, damage = i, err
		}
	}
	if found == nil {
		return nil, fmt.Errorf("image %s: %w in the store (subuidless images lists those that are there)", text, ErrNotFound)
	}
	return found, damage
}

// shortID returns the beginning of the ID, or of the digest in index.json if a damaged image has none.
func (i *Image) shortID() string {
	hex := cmp.Or(i.ID().Hex, i.Entry.Digest.Hex)
	return hex[:min(12, len(hex))]
}

// Tag gives the image with the manifest or index d the name, which its previous image loses. Digest is
// that of the image in its registry. An empty name keeps the image as a dangling one.
func (s *Store) Tag(d v1.Descriptor, digest v1.Hash, name string) error {
	return s.withIndex(func(index *v1.IndexManifest) (bool, error) { return tag(index, d, digest, name), nil })
}

// tag is Tag for the index. It reports whether that has changed.
func tag(index *v1.IndexManifest, d v1.Descriptor, digest v1.Hash, name string) bool {
	old := index.Manifests
	d = v1.Descriptor{MediaType: d.MediaType, Size: d.Size, Digest: d.Digest, Platform: d.Platform}
	if name != "" {
		d.Annotations = map[string]string{nameAnnotation: name}
	}
	if digest != d.Digest && digest != (v1.Hash{}) {
		if d.Annotations == nil {
			d.Annotations = map[string]string{}
		}
		d.Annotations[digestAnnotation] = digest.String()
	}
	if name == "" && slices.ContainsFunc(old, func(m v1.Descriptor) bool { return m.Digest == d.Digest }) {
		return false // it is there already, with or without a name
	}
	index.Manifests = nil
	for _, m := range old {
		had := m.Annotations[nameAnnotation]
		switch {
		case m.Digest == d.Digest && (had == "" || had == name):
			// replaced by d
		case had != "" && had == name:
			index.Manifests = release(index.Manifests, old, m)
		default:
			index.Manifests = append(index.Manifests, m)
		}
	}
	index.Manifests = append(index.Manifests, d)
	return true
}

// release appends to list the image m, of the images all, as it is without its name: dangling
// if it has no other one.
func release(list, all []v1.Descriptor, m v1.Descriptor) []v1.Descriptor {
	name := m.Annotations[nameAnnotation]
	if slices.ContainsFunc(all, func(o v1.Descriptor) bool {
		return o.Digest == m.Digest && o.Annotations[nameAnnotation] != name
	}) {
		return list
	}
	annotations := map[string]string{repositoryAnnotation: reference.Repository(name)}
	if digest, ok := m.Annotations[digestAnnotation]; ok {
		annotations[digestAnnotation] = digest
	}
	m.Annotations = annotations
	return append(list, m)
}

// Untag removes the name, and the image with it unless that has another name. It reports
// whether the image is gone.
func (s *Store) Untag(name string) (gone bool, err error) {
	err = s.withIndex(func(index *v1.IndexManifest) (bool, error) {
		var digest v1.Hash
		index.Manifests = slices.DeleteFunc(index.Manifests, func(d v1.Descriptor) bool {
			if name == "" || d.Annotations[nameAnnotation] != name {
				return false
			}
			digest = d.Digest
			return true
		})
		gone = !slices.ContainsFunc(index.Manifests, func(d v1.Descriptor) bool { return d.Digest == digest })
		return digest != v1.Hash{}, nil
	})
	return gone, err
}

// Forget removes the image with this manifest or index, and all its names, which it returns.
func (s *Store) Forget(digest v1.Hash) (names []string, err error) {
	err = s.withIndex(func(index *v1.IndexManifest) (bool, error) {
		index.Manifests = slices.DeleteFunc(index.Manifests, func(d v1.Descriptor) bool {
			if d.Digest != digest {
				return false
			}
			if name := d.Annotations[nameAnnotation]; name != "" {
				names = append(names, name)
			}
			return true
		})
		return true, nil
	})
	return names, err
}
