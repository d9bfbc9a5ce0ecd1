package store

import (
	"encoding/json"
	"errors"
	"runtime"
	"slices"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// native and foreign are platforms: that of this machine, and another one.
var (
	native  = v1.Platform{OS: "linux", Architecture: runtime.GOARCH}
	foreign = v1.Platform{OS: "linux", Architecture: "s390x"}
)

// putFor is put for a platform.
func putFor(t *testing.T, s *Store, author string, p v1.Platform) v1.Descriptor {
	t.Helper()
	d := put(t, s, author)
	d.Platform = &p
	return d
}

// TestIndexWhole has an index with two images under one name.
func TestIndexWhole(t *testing.T) {
	s := open(t)
	a, b := putFor(t, s, "a", foreign), putFor(t, s, "b", native)
	raw, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{a, b}})
	if err != nil {
		t.Fatal(err)
	}
	d := v1.Descriptor{MediaType: types.OCIImageIndex, Size: int64(len(raw))}
	if d.Digest, err = s.PutBlob(raw); err != nil {
		t.Fatal(err)
	}
	const name = "docker.io/library/x:latest"
	if err := s.Tag(d, d.Digest, name); err != nil {
		t.Fatal(err)
	}
	i, err := s.Find("x", nil)
	if err != nil {
		t.Fatal(err)
	}
	if i.Config.Author != "b" || i.Top().Digest != d.Digest || len(i.All()) != 2 || i.For("linux/s390x").Config.Author != "a" || i.For("linux/riscv64") != nil || i.For("") != i {
		t.Errorf("the image: %+v", i)
	}
	one, err := s.Find(i.For("linux/s390x").ID().Hex[:12], nil)
	if err != nil || one.Config.Author != "a" || one.Top().Digest != a.Digest || one.Entry.Digest != d.Digest {
		t.Errorf("by the id of a platform: %+v, %v", one, err)
	}
	if found, err := s.FindFor("x", "linux/s390x", nil); err != nil || found.Config.Author != "a" {
		t.Errorf("FindFor: %+v, %v", found, err)
	}
	if _, err := s.FindFor("x", "linux/riscv64", nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("FindFor another platform: %v", err)
	}
	if _, err := s.Prune(PruneOptions{Dangling: true}); err != nil {
		t.Fatal(err)
	}
	if problems, err := s.Check(false, nil); err != nil || len(problems) > 0 {
		t.Errorf("after prune: %v, %v", problems, err)
	}
	if _, err := s.Find("x", nil); err != nil {
		t.Error(err)
	}
}

// TestAddPlatforms adds images to an index, one after the other.
func TestAddPlatforms(t *testing.T) {
	s := open(t)
	const name = "docker.io/library/x:1"
	for _, tt := range []struct {
		author   string
		platform v1.Platform
		want     []string
	}{{"a", foreign, []string{"a"}}, {"b", native, []string{"a", "b"}}, {"c", foreign, []string{"b", "c"}}} {
		if err := s.AddPlatforms(name, []v1.Descriptor{putFor(t, s, tt.author, tt.platform)}); err != nil {
			t.Fatal(err)
		}
		i, err := s.Find(name, nil)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, one := range i.All() {
			got = append(got, one.Config.Author)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("after %s: %q, want %q", tt.author, got, tt.want)
		}
	}
	d := putFor(t, s, "d", native)
	if err := s.Tag(d, d.Digest, name); err != nil {
		t.Fatal(err)
	}
	if err := s.AddPlatforms(name, []v1.Descriptor{d}); err == nil {
		t.Error("an image without an index has got another platform")
	}
}

// TestTagBeside has images that a registry has under one name: that of this machine gets it.
func TestTagBeside(t *testing.T) {
	s := open(t)
	const name = "docker.io/library/x:1"
	a, b := putFor(t, s, "a", foreign), putFor(t, s, "b", native)
	index := put(t, s, "index").Digest // any digest
	for _, order := range [][]v1.Descriptor{{a, b}, {b, a}} {
		for _, d := range order {
			if err := s.TagBeside(d, index, name); err != nil {
				t.Fatal(err)
			}
		}
		if got, want := list(t, s), []string{"docker.io/library/x? a", name + " b"}; !slices.Equal(got, want) {
			t.Errorf("the store has %q, want %q", got, want)
		}
		for p, author := range map[string]string{native.String(): "b", foreign.String(): "a"} {
			if i, err := s.FindFor(name, p, nil); err != nil || i.Config.Author != author {
				t.Errorf("FindFor %s: %+v, %v", p, i, err)
			}
		}
		for _, d := range order {
			if _, err := s.Forget(d.Digest); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Another version of the image takes the name.
	if err := errors.Join(s.TagBeside(b, index, name), s.TagBeside(a, a.Digest, name)); err != nil {
		t.Fatal(err)
	}
	if got, want := list(t, s), []string{"docker.io/library/x? b", name + " a"}; !slices.Equal(got, want) {
		t.Errorf("after another version: %q, want %q", got, want)
	}
}
