package container

import (
	"github.com/rootless-containers/subuidless/internal/image/containerfiles"
	"github.com/rootless-containers/subuidless/internal/image/layer"
	"github.com/rootless-containers/subuidless/internal/image/store"
	"github.com/rootless-containers/subuidless/internal/isolation"
)

// Sizes finds out how large the files of containers are. It remembers those of images.
type Sizes struct {
	Store  *store.Store
	images map[string]int64 // by the topmost layer
}

// Of returns the sizes of the files that the container has added or changed, and of all files of it
// and its image, in bytes.
func (s *Sizes) Of(c *store.Container) (changed, all int64, err error) {
	changes := changedOf(s.Store, c)
	if changed, err = sizeOf(changes); err != nil || len(changes.Lower) == 0 {
		return changed, changed, err
	}
	top := changes.Lower[0]
	image, known := s.images[top]
	if !known {
		if image, err = sizeOf(layer.Changed{Layers: changes.Lower}); err != nil {
			return 0, 0, err
		}
		if s.images == nil {
			s.images = map[string]int64{}
		}
		s.images[top] = image
	}
	return changed, image + changed, nil
}

func sizeOf(changed layer.Changed) (size int64, err error) {
	err = containerfiles.Changes(changed, isolation.Current().NativeOwners(), func(c layer.Change) error {
		size += c.Size
		return nil
	})
	return size, err
}
