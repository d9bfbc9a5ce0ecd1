package store

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/rootless-containers/subuidless/internal/image/storedir"
)

// prefixes calls check with each content that a power cut could leave in a file: the first n bytes, or
// as many zeros. Whole means that nothing but the line feed is missing.
func prefixes(t *testing.T, file string, check func(whole bool, n int)) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, left := range [][]byte{content, make([]byte, len(content))} {
		for n := range len(content) + 1 {
			if err := os.WriteFile(file, left[:n], 0o600); err != nil {
				t.Fatal(err)
			}
			check(left[0] != 0 && n >= len(content)-1, n)
		}
	}
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A damaged index is an error that names it, and no image is removed.
func TestDamagedIndex(t *testing.T) {
	s := open(t)
	d := put(t, s, "author")
	if err := s.Tag(d, d.Digest, "docker.io/library/a:1"); err != nil {
		t.Fatal(err)
	}
	file := s.path(storedir.Index)
	prefixes(t, file, func(whole bool, n int) {
		images, _, err := s.Images()
		if whole && (err != nil || len(images) != 1) || !whole && (err == nil || !strings.Contains(err.Error(), file)) {
			t.Errorf("%d bytes: %d images, %v", n, len(images), err)
		}
		if n%100 == 0 && !whole {
			if _, err := s.Prune(PruneOptions{Waiting: func() {}}); err == nil {
				t.Errorf("%d bytes: prune believes that there are no images", n)
			}
		}
	})
	if !s.HasBlob(d) {
		t.Error("the image is gone")
	}
}

// An image of which a blob is damaged or missing is left out of the list, and can be found, kept and removed.
func TestDamagedImage(t *testing.T) {
	const name, other = "docker.io/library/damaged:1", "docker.io/library/other:1"
	for what, damage := range map[string]func(manifest string, i *Image, s *Store) error{
		"manifest":         func(m string, _ *Image, _ *Store) error { return os.WriteFile(m, []byte("{}"), 0o600) },
		"no manifest":      func(m string, _ *Image, _ *Store) error { return os.Remove(m) },
		"configuration":    func(_ string, i *Image, s *Store) error { return os.WriteFile(s.BlobPath(i.ID()), nil, 0o600) },
		"no configuration": func(_ string, i *Image, s *Store) error { return os.Remove(s.BlobPath(i.ID())) },
	} {
		t.Run(what, func(t *testing.T) {
			s := open(t)
			d, o := put(t, s, "damaged"), put(t, s, "other")
			if err := errors.Join(s.Tag(d, d.Digest, name), s.Tag(o, o.Digest, other)); err != nil {
				t.Fatal(err)
			}
			leftover, err := s.PutBlob([]byte("maybe a layer of it"))
			if err != nil {
				t.Fatal(err)
			}
			whole, err := s.Find(name, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := damage(s.BlobPath(d.Digest), whole, s); err != nil {
				t.Fatal(err)
			}
			images, damaged, err := s.Images()
			if err != nil || len(images) != 1 || images[0].Name != other || len(damaged) != 1 || damaged[0].Image.Name != name {
				t.Fatalf("%v, %v, %v", images, damaged, err)
			}
			texts := []string{name, d.Digest.Hex[:12]}
			if strings.Contains(what, "configuration") { // then, the id is known
				texts = append(texts, whole.ID().Hex[:12])
			}
			for _, text := range texts {
				_, err := s.Find(text, nil)
				if found := (*DamagedImage)(nil); !errors.As(err, &found) || found.Image.Entry.Digest != d.Digest || !strings.Contains(err.Error(), "rmi "+name) {
					t.Errorf("Find(%s): %v", text, err)
				}
			}
			if i, err := s.Find(images[0].ID().Hex[:12], nil); err != nil || i.Name != other {
				t.Errorf("the other one: %v, %v", i, err)
			}
			p, err := s.Prune(PruneOptions{Unused: true})
			if err != nil || len(p.Damaged) != 1 || !slices.Equal(p.Images, []string{other}) || !s.HasBlob(v1.Descriptor{Digest: leftover, Size: -1}) {
				t.Errorf("Prune: %+v, %v", p, err)
			}
			if problems, err := s.Check(false, nil); err != nil || len(problems) == 0 {
				t.Errorf("Check: %v, %v", problems, err)
			}
			if gone, err := s.Untag(name); !gone || err != nil {
				t.Errorf("Untag: %v, %v", gone, err)
			}
			p, err = s.Prune(PruneOptions{})
			if err != nil || len(p.Damaged) > 0 || s.HasBlob(v1.Descriptor{Digest: leftover, Size: -1}) || len(list(t, s)) > 0 {
				t.Errorf("Prune afterwards: %+v, %v", p, err)
			}
		})
	}
}

// As long as a container is damaged, nothing that it may need is removed: neither images nor layers nor
// volumes.
func TestDamagedContainer(t *testing.T) {
	s := open(t)
	d := put(t, s, "image")
	if err := s.Tag(d, d.Digest, "docker.io/library/image:1"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateVolume("volume", nil); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, name := range []string{"damaged", "other"} {
		c := &Container{Name: name}
		l, err := s.NewContainer(c)
		if err != nil {
			t.Fatal(err)
		}
		l.Unlock()
		ids = append(ids, c.ID)
	}
	layer, dir := s.path("layers", strings.Repeat("a", layerIDSize)), s.path("containers", ids[0])
	if err := os.Mkdir(layer, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "{}", `{"ID": 1}`, `{"ID": "` + ids[1] + `"}`} { // each is JSON of something else, or none
		if err := os.WriteFile(filepath.Join(dir, storedir.Config), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		all, damaged, err := s.Containers()
		if err != nil || len(all) != 1 || all[0].ID != ids[1] || len(damaged) != 1 || damaged[0].Container.ID != ids[0] {
			t.Errorf("%q: %v, %v, %v", text, all, damaged, err)
		}
	}
	if _, err := s.FindContainer("other"); err != nil {
		t.Error(err)
	}
	p, err := s.Prune(PruneOptions{Unused: true, Containers: true})
	if err != nil || len(p.Damaged) != 1 || !slices.Equal(p.Containers, ids[1:]) || len(p.Images) > 0 {
		t.Errorf("Prune: %+v, %v", p, err)
	}
	if removed, err := s.PruneVolumes(nil); err == nil || len(removed) > 0 {
		t.Errorf("PruneVolumes: %q, %v", removed, err)
	}
	if problems, err := s.Check(true, nil); err != nil || len(problems) != 1 || !strings.Contains(problems[0].Message, "rm -f "+ids[0][:12]) {
		t.Errorf("Check: %v, %v", problems, err)
	}
	for _, name := range []string{layer, filepath.Join(dir, "upper"), s.path("volumes", "volume", "_data")} {
		if _, err := os.Stat(name); err != nil {
			t.Error(err)
		}
	}
	if err := storedir.RemoveContainer(dir); err != nil {
		t.Fatal(err)
	}
	p, err = s.Prune(PruneOptions{Unused: true})
	if err != nil || len(p.Damaged) > 0 || len(p.Images) != 1 {
		t.Errorf("Prune afterwards: %+v, %v", p, err)
	}
	if _, err := os.Stat(layer); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the layer: %v", err)
	}
}

// A damaged entry of the cache is none.
func TestDamagedCache(t *testing.T) {
	s := open(t)
	d := put(t, s, "layer")
	d.MediaType = ""
	for key, c := range map[string]*CachedLayer{"aa": {Layer: v1.Descriptor{Digest: d.Digest, Size: d.Size}, DiffID: d.Digest}, "bb": {Empty: true}} {
		if err := s.PutCachedLayer(key, c); err != nil {
			t.Fatal(err)
		}
		prefixes(t, s.cachePath(key), func(whole bool, n int) {
			got, err := s.CachedLayer(key)
			if err != nil || (got != nil) != whole || whole && (got.Empty != c.Empty || got.Layer.Digest != c.Layer.Digest || got.DiffID != c.DiffID) {
				t.Errorf("%s, %d bytes: %+v, %v", key, n, got, err)
			}
		})
	}
}

// A volume whose description is damaged keeps its files, and others are not affected.
func TestDamagedVolume(t *testing.T) {
	s := open(t)
	labels := map[string]string{"keep": "yes"}
	for _, name := range []string{"damaged", "other"} {
		if _, err := s.CreateVolume(name, labels); err != nil {
			t.Fatal(err)
		}
	}
	whole, err := s.FindVolume("damaged")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(whole.Data, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	prefixes(t, filepath.Join(whole.dir, "volume.json"), func(isWhole bool, n int) {
		all, err := s.Volumes()
		if err != nil || len(all) != 2 {
			t.Fatalf("%d bytes: %d volumes, %v", n, len(all), err)
		}
		v := all[0]
		if v.Name != "damaged" || v.Data != whole.Data || v.Lost == isWhole || v.Created.IsZero() || maps.Equal(v.Labels, labels) != isWhole || !isWhole && v.Labels != nil {
			t.Errorf("%d bytes: %+v", n, v)
		}
		if all[1].Lost || !maps.Equal(all[1].Labels, labels) {
			t.Errorf("%d bytes: the other one is %+v", n, all[1])
		}
	})
	if err := os.WriteFile(filepath.Join(whole.dir, "volume.json"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PruneVolumes(nil); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(whole.Data, "file")); err != nil {
		t.Errorf("prune has removed a volume whose labels are unknown: %v", err)
	}
}
