package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func TestCachedLayers(t *testing.T) {
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	digest, err := s.PutBlob([]byte("layer"))
	if err != nil {
		t.Fatal(err)
	}
	for key, c := range map[string]*CachedLayer{"aa": {Layer: v1.Descriptor{Digest: digest, Size: 5}, DiffID: digest}, "bb": {Empty: true}} {
		if got, err := s.CachedLayer(key); err != nil || got != nil {
			t.Errorf("%s before: %v, %v", key, got, err)
		}
		if err := s.PutCachedLayer(key, c); err != nil {
			t.Fatal(err)
		}
		got, err := s.CachedLayer(key)
		if err != nil || got == nil || got.Empty != c.Empty || got.Layer.Digest != c.Layer.Digest || got.DiffID != c.DiffID {
			t.Errorf("%s: %v, %v; want %v", key, got, err, c)
		}
	}
	// No image has the blob.
	if _, err := s.Prune(PruneOptions{Waiting: func() {}}); err != nil {
		t.Fatal(err)
	}
	if got, err := s.CachedLayer("aa"); err != nil || got != nil {
		t.Errorf("after Prune: %v, %v", got, err)
	}
}

func TestCacheMount(t *testing.T) {
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	failed := errors.New("no content")
	if _, err := s.CacheMount("id", false, true, func(string) error { return failed }); !errors.Is(err, failed) {
		t.Errorf("a first content that cannot be made: %v", err)
	}
	filled := 0
	fill := func(dir string) error {
		filled++
		return os.WriteFile(filepath.Join(dir, "file"), nil, 0o600)
	}
	first, err := s.CacheMount("id", false, true, fill)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(first.Path, "file")); err != nil || filled != 1 {
		t.Errorf("the first content: %v, filled %d times", err, filled)
	}
	if _, err := s.CacheMount("id", true, false, fill); !errors.Is(err, ErrInUse) {
		t.Errorf("exclusively, while it is in use: %v", err)
	}
	shared, err := s.CacheMount("id", false, false, fill)
	if err != nil || shared.Path != first.Path || filled != 1 {
		t.Errorf("shared: %v, %v", shared, err)
	}
	other, err := s.CacheMount("other", true, false, fill)
	if err != nil || other.Path == first.Path {
		t.Errorf("another id: %v, %v", other, err)
	}
	for _, c := range []*CacheMount{first, shared, other} {
		c.Close()
	}
	again, err := s.CacheMount("id", true, false, fill)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}
