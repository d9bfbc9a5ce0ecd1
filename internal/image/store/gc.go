package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/rootless-containers/subuidless/internal/image/storedir"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/rootless-containers/subuidless/internal/image/layer"
)

// PruneOptions say what Prune removes besides what nothing refers to.
type PruneOptions struct {
	Dangling   bool   // images without a name
	Unused     bool   // images that no container uses, and the directories of cache mounts
	Containers bool   // containers that do not run
	Waiting    func() // called before Prune waits for others that use the store

	Match Match // the images and containers that may be removed; if it is not nil, cache mounts stay
}

// Pruned is what Prune has removed.
type Pruned struct {
	Images     []string // names or ids
	Containers []string // ids
	Bytes      int64    // disk space

	// Damaged are the images and containers that cannot be read. As long as there are any, all files
	// that one of them may need stay.
	Damaged []error
}

// Prune removes images and containers as o says, and all blobs, layers and other files that
// neither an image nor a container needs.
func (s *Store) Prune(o PruneOptions) (*Pruned, error) {
	l, err := s.exclusive(o.Waiting)
	if err != nil {
		return nil, err
	}
	defer l.Unlock()
	p := new(Pruned)
	containers, damaged, err := s.Containers()
	if err != nil {
		return nil, err
	}
	var kept []*Container
	for _, d := range damaged {
		p.Damaged = append(p.Damaged, d)
		kept = append(kept, d.Container)
	}
	for _, c := range containers {
		lock, err := c.Lock()
		if errors.Is(err, ErrNotFound) {
			continue // it has removed itself
		}
		busy := errors.Is(err, storedir.ErrRunning) || errors.Is(err, storedir.ErrBusy)
		if err != nil && !busy {
			return nil, err
		}
		if busy || !o.Containers || !o.Match.fits(c.Labels, c.Created) {
			lock.Unlock()
			kept = append(kept, c)
			continue
		}
		p.Bytes += diskUsage(c.Dir)
		err = s.RemoveContainer(c)
		lock.Unlock()
		if err != nil {
			return nil, err
		}
		p.Containers = append(p.Containers, c.ID)
	}
	if err := s.pruneImages(o, kept, p); err != nil {
		return nil, err
	}
	if o.Unused && o.Match == nil {
		mounts := s.path("cache", "mounts")
		p.Bytes += diskUsage(mounts)
		if err := layer.RemoveAll(mounts); err != nil {
			return nil, err
		}
	}
	return p, s.sweep(kept, p)
}

// pruneImages removes images as o says.
func (s *Store) pruneImages(o PruneOptions, kept []*Container, p *Pruned) error {
	images, damaged, err := s.Images()
	if err != nil {
		return err
	}
	unknown := len(p.Damaged) > 0 // which images damaged containers use
	for _, d := range damaged {
		p.Damaged = append(p.Damaged, d)
	}
	for _, i := range images {
		used := unknown || slices.ContainsFunc(kept, func(c *Container) bool { return i.HasID(c.ImageID) })
		if used || !o.Unused && (i.Name != "" || !o.Dangling) || !o.Match.fits(i.Config.Config.Labels, i.Config.Created.Time) {
			continue
		}
		if i.Name == "" {
			_, err = s.Forget(i.Entry.Digest)
			p.Images = append(p.Images, i.ID().String())
		} else {
			_, err = s.Untag(i.Name)
			p.Images = append(p.Images, i.Name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sweep removes what neither an image nor one of the containers needs.
func (s *Store) sweep(containers []*Container, p *Pruned) error {
	blobs, layers, err := s.needed(containers)
	if err != nil {
		return err
	}
	unknown := len(p.Damaged) > 0 // what those need
	neededBlob := func(hex string) bool { return unknown || blobs[hex] }
	if err := s.sweepCache(neededBlob); err != nil {
		return err
	}
	ids := map[string]bool{}
	for _, c := range containers {
		ids[c.ID] = true
	}
	for _, area := range []struct {
		dir    string
		needed func(name string) bool
	}{
		{"blobs/sha256", neededBlob},
		{"layers", func(name string) bool { return unknown || layers[name] }},
		{"containers", func(name string) bool { return ids[name] }},
		{"tmp", func(string) bool { return false }},
		{"locks", func(name string) bool { return !isLayerID(name) }},
		{".", func(name string) bool { return !strings.HasSuffix(name, storedir.NewSuffix) }},
	} {
		entries, err := os.ReadDir(s.path(area.dir))
		if err != nil {
			return err
		}
		for _, e := range entries {
			if area.needed(e.Name()) {
				continue
			}
			name := s.path(area.dir, e.Name())
			if area.dir != "locks" {
				p.Bytes += diskUsage(name)
			}
			if err := layer.RemoveAll(name); err != nil {
				return err
			}
		}
	}
	return nil
}

func isLayerID(name string) bool {
	return len(name) == layerIDSize && strings.Trim(name, "0123456789abcdef") == ""
}

// needed returns the blobs, by their digests in hexadecimal, and the layers that an image or
// one of the containers needs.
func (s *Store) needed(containers []*Container) (blobs, layers map[string]bool, err error) {
	images, _, err := s.Images()
	if err != nil {
		return nil, nil, err
	}
	blobs, layers = map[string]bool{}, map[string]bool{}
	for _, i := range images {
		for _, digest := range i.blobs() {
			blobs[digest.Hex] = true
		}
		for _, one := range i.All() {
			for _, id := range one.Layers() {
				layers[id] = true
			}
		}
	}
	for _, c := range containers {
		for _, id := range c.Layers {
			layers[id] = true
		}
	}
	return blobs, layers, nil
}

// blobs returns the digests of the blobs of the image. The index that it has been chosen from
// may be among them, and need not exist.
func (i *Image) blobs() []v1.Hash {
	all := []v1.Hash{i.Entry.Digest, i.Digest}
	for _, one := range i.Manifests() {
		all = append(all, one.Descriptor.Digest, one.Manifest.Config.Digest)
		for _, l := range one.Manifest.Layers {
			all = append(all, l.Digest)
		}
	}
	return all
}

// diskUsage returns the disk space of a file or tree in bytes, as far as it can be read.
func diskUsage(name string) int64 {
	var sum int64
	_ = filepath.WalkDir(name, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if info, err := e.Info(); err == nil {
			if st, ok := info.Sys().(*syscall.Stat_t); ok {
				sum += st.Blocks * 512 / max(1, int64(st.Nlink))
			}
		}
		return nil
	})
	return sum
}

// Problem is something that Check has found.
type Problem struct {
	Object  string // a blob, layer, image or container
	Message string
}

// Check verifies each blob and that each image is complete, and that each container can be read. With
// repair, it removes damaged blobs, so that the next pull fetches them again, and images that are not
// complete; never a container, whose files exist only once.
func (s *Store) Check(repair bool, waiting func()) ([]Problem, error) {
	l, err := s.exclusive(waiting)
	if err != nil {
		return nil, err
	}
	defer l.Unlock()
	var problems []Problem
	report := func(object, format string, args ...any) {
		problems = append(problems, Problem{object, fmt.Sprintf(format, args...)})
	}
	entries, err := os.ReadDir(s.path("blobs", "sha256"))
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		digest := v1.Hash{Algorithm: "sha256", Hex: e.Name()}
		err := s.verifyBlob(digest)
		if err == nil {
			continue
		}
		report("blob "+e.Name(), "%v", err)
		if repair {
			if err := layer.RemoveAll(s.BlobPath(digest)); err != nil {
				return nil, err
			}
		}
	}
	_, damaged, err := s.Containers()
	if err != nil {
		return nil, err
	}
	for _, d := range damaged {
		report("container "+d.Container.Name, "%s", d.Reason())
	}
	index, err := s.readIndex()
	if err != nil {
		report("index.json", "%v", err)
		return problems, nil
	}
	for _, d := range index.Manifests {
		err := s.checkImage(d)
		if err == nil {
			continue
		}
		if broken := (*DamagedImage)(nil); errors.As(err, &broken) {
			err = broken.Err
		}
		report("image "+describe(d), "%v", err)
		if repair {
			if _, err := s.Forget(d.Digest); err != nil {
				return nil, err
			}
		}
	}
	return problems, nil
}

func describe(d v1.Descriptor) string {
	if name := d.Annotations[nameAnnotation]; name != "" {
		return name
	}
	return d.Digest.String()
}

// checkImage returns an error unless the image has all of its blobs.
func (s *Store) checkImage(d v1.Descriptor) error {
	i, err := s.load(d)
	if err != nil {
		return err
	}
	var errs []error
	for _, one := range i.Manifests() {
		if c := one.Manifest.Config; !s.HasBlob(c) {
			errs = append(errs, fmt.Errorf("configuration %s is missing or has another size", c.Digest))
		}
		for _, l := range one.Manifest.Layers {
			if !s.HasBlob(l) {
				errs = append(errs, fmt.Errorf("layer %s is missing or has another size", l.Digest))
			}
		}
	}
	return errors.Join(errs...)
}
