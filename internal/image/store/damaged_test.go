package store

import (
	"maps"
	"os"
	"path/filepath"
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
		images, err := s.Images()
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
