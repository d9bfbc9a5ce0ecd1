package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

func open(t *testing.T) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// put adds an image without layers whose configuration says who its author is.
func put(t *testing.T, s *Store, author string) v1.Descriptor {
	t.Helper()
	config, err := json.Marshal(v1.ConfigFile{Author: author, OS: "linux"})
	if err != nil {
		t.Fatal(err)
	}
	digest, err := s.PutBlob(config)
	if err != nil {
		t.Fatal(err)
	}
	m, err := json.Marshal(v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Config: v1.Descriptor{Digest: digest, Size: int64(len(config))}})
	if err != nil {
		t.Fatal(err)
	}
	if digest, err = s.PutBlob(m); err != nil {
		t.Fatal(err)
	}
	return v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: digest, Size: int64(len(m))}
}

// list returns the images as "name author", and those without a name as "repository? author".
func list(t *testing.T, s *Store) []string {
	t.Helper()
	images, damaged, err := s.Images()
	if err != nil || len(damaged) > 0 {
		t.Fatal(err, damaged)
	}
	all := []string{}
	for _, i := range images {
		name := i.Name
		if name == "" {
			name = i.Repository + "?"
		}
		all = append(all, name+" "+i.Config.Author)
	}
	return all
}

func TestTag(t *testing.T) {
	s := open(t)
	a, b := put(t, s, "a"), put(t, s, "b")
	const x, y = "docker.io/library/x:1", "docker.io/library/y:1"
	for _, step := range []struct {
		do   func() error
		want []string
	}{
		{func() error { return s.Tag(a, a.Digest, x) }, []string{x + " a"}},
		{func() error { return s.Tag(a, a.Digest, x) }, []string{x + " a"}},
		{func() error { return s.Tag(a, a.Digest, "") }, []string{x + " a"}},
		{func() error { return s.Tag(b, b.Digest, x) }, []string{"docker.io/library/x? a", x + " b"}},
		{func() error { return s.Tag(a, a.Digest, y) }, []string{x + " b", y + " a"}},
		{func() error { return s.Tag(a, a.Digest, x) }, []string{"docker.io/library/x? b", x + " a", y + " a"}},
		{func() error { return s.Tag(b, b.Digest, x) }, []string{x + " b", y + " a"}},
		{func() error { return s.Tag(b, b.Digest, y) }, []string{x + " b", "docker.io/library/y? a", y + " b"}},
		{func() error { _, err := s.Untag(x); return err }, []string{"docker.io/library/y? a", y + " b"}},
		{func() error { _, err := s.Forget(a.Digest); return err }, []string{y + " b"}},
		{func() error { return s.Tag(a, a.Digest, "") }, []string{"? a", y + " b"}},
		{func() error { return s.Tag(a, a.Digest, "") }, []string{"? a", y + " b"}},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		if got := list(t, s); !slices.Equal(got, step.want) {
			t.Fatalf("images: %q, want %q", got, step.want)
		}
	}
	p, err := s.Prune(PruneOptions{Dangling: true})
	if err != nil || len(p.Images) != 1 {
		t.Errorf("prune: %+v, %v", p, err)
	}
	if got := list(t, s); !slices.Equal(got, []string{y + " b"}) {
		t.Errorf("after prune: %q", got)
	}
	if s.HasBlob(a) || !s.HasBlob(b) {
		t.Error("prune has removed the wrong blobs")
	}
}

func TestFind(t *testing.T) {
	s := open(t)
	a := put(t, s, "a")
	index := v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("5", 64)}
	if err := s.Tag(a, index, "docker.io/library/x:latest"); err != nil {
		t.Fatal(err)
	}
	image, err := s.Find("x", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"x:latest", "docker.io/library/x", "x@" + index.String(), "x@" + a.Digest.String(),
		image.ID().Hex, image.ID().String(), image.ID().Hex[:8], a.Digest.Hex[:12],
	} {
		if got, err := s.Find(text, nil); err != nil || got.Descriptor.Digest != a.Digest {
			t.Errorf("Find(%q): %v", text, err)
		}
	}
	for _, text := range []string{"y", "x:2", "y@" + index.String(), "0123456789abcdef"} {
		if _, err := s.Find(text, nil); !errors.Is(err, ErrNotFound) {
			t.Errorf("Find(%q): %v, want ErrNotFound", text, err)
		}
	}
}

func TestFetch(t *testing.T) {
	s := open(t)
	content := bytes.Repeat([]byte("0123456789"), 1000)
	d := v1.Descriptor{Size: int64(len(content))}
	d.Digest, _, _ = v1.SHA256(bytes.NewReader(content))
	var offsets []int64
	fetch := func(send []byte) (int64, error) {
		var seen int64
		err := s.Fetch(context.Background(), d, func(_ context.Context, offset int64) (io.ReadCloser, error) {
			offsets = append(offsets, offset)
			return io.NopCloser(bytes.NewReader(send[min(int(offset), len(send)):])), nil
		}, func(n int64) { seen += n })
		return seen, err
	}
	if _, err := fetch(content[:4000]); !errors.Is(err, io.ErrUnexpectedEOF) || s.HasBlob(d) {
		t.Errorf("a part: %v", err)
	}
	if seen, err := fetch(content); err != nil || seen != d.Size || !slices.Equal(offsets, []int64{0, 4000}) {
		t.Errorf("the rest: %d bytes, offsets %v, %v", seen, offsets, err)
	}
	if seen, err := fetch(nil); err != nil || seen != d.Size || len(offsets) != 2 {
		t.Errorf("once more: %d bytes, offsets %v, %v", seen, offsets, err)
	}
	wrong := bytes.Clone(content)
	wrong[5]++
	for name, send := range map[string][]byte{"other content": wrong, "more content": append(bytes.Clone(content), 'x')} {
		s := open(t)
		err := s.Fetch(context.Background(), d, func(context.Context, int64) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(send)), nil
		}, nil)
		if left, _ := os.ReadDir(s.path("tmp")); !errors.Is(err, ErrDigest) || s.HasBlob(d) || len(left) > 0 {
			t.Errorf("%s: %v; tmp has %v", name, err, left)
		}
	}
	d.Digest.Algorithm = "sha512"
	if _, err := fetch(content); err == nil {
		t.Error("a digest of sha512 is accepted")
	}
	d.Digest = v1.Hash{Algorithm: "sha256", Hex: "../" + strings.Repeat("0", 61)}
	if _, err := fetch(content); err == nil {
		t.Error("a digest with slashes is accepted")
	}
}

func TestLayerIDs(t *testing.T) {
	// The example of the image-spec (config.md): ChainID(A|B) = digest(ChainID(A) + " " + DiffID(B)).
	a, _, _ := v1.SHA256(strings.NewReader("a"))
	b, _, _ := v1.SHA256(strings.NewReader("b"))
	chain, _, _ := v1.SHA256(strings.NewReader(fmt.Sprintf("%s %s", a, b)))
	if got := LayerIDs([]v1.Hash{a, b}); !slices.Equal(got, []string{a.Hex[:layerIDSize], chain.Hex[:layerIDSize]}) {
		t.Errorf("LayerIDs: %v", got)
	}
}

func TestNewLayer(t *testing.T) {
	s := open(t)
	id := strings.Repeat("a", layerIDSize)
	// What a process that was killed has left.
	if err := os.MkdirAll(s.LayerPath(id)+".new/left", 0o700); err != nil {
		t.Fatal(err)
	}
	n, err := s.NewLayer(id)
	if err != nil || n.Done {
		t.Fatalf("%+v, %v", n, err)
	}
	if left, err := os.ReadDir(n.Path); err != nil || len(left) > 0 {
		t.Errorf("the new layer has %v, %v", left, err)
	}
	second := make(chan *NewLayer)
	go func() {
		n, err := s.NewLayer(id)
		if err != nil {
			t.Error(err)
		}
		second <- n
	}()
	if err := s.Commit([]*NewLayer{n}); err != nil || !s.HasLayer(id) {
		t.Fatal(err)
	}
	if n := <-second; n == nil || !n.Done {
		t.Errorf("the second one: %+v", n)
	}
	other, err := s.NewLayer(strings.Repeat("b", layerIDSize))
	if err != nil {
		t.Fatal(err)
	}
	if err := Abandon([]*NewLayer{n, other}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(other.Path); !errors.Is(err, os.ErrNotExist) || !s.HasLayer(id) {
		t.Errorf("after Abandon: %v", err)
	}
}

func TestCheck(t *testing.T) {
	s := open(t)
	a, b := put(t, s, "a"), put(t, s, "b")
	for d, name := range map[*v1.Descriptor]string{&a: "docker.io/library/a:1", &b: "docker.io/library/b:1"} {
		if err := s.Tag(*d, d.Digest, name); err != nil {
			t.Fatal(err)
		}
	}
	if p, err := s.Check(false, nil); err != nil || len(p) > 0 {
		t.Errorf("%v, %v", p, err)
	}
	if err := os.WriteFile(s.BlobPath(a.Digest), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if p, err := s.Check(true, nil); err != nil || len(p) != 2 {
		t.Errorf("%v, %v", p, err)
	}
	if p, err := s.Check(false, nil); err != nil || len(p) > 0 {
		t.Errorf("after the repair: %v, %v", p, err)
	}
	if got := list(t, s); !slices.Equal(got, []string{"docker.io/library/b:1 b"}) {
		t.Errorf("after the repair: %q", got)
	}
}

func TestContainers(t *testing.T) {
	s := open(t)
	c := &Container{Name: "one", ImageID: (v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("0", 64)}).String()}
	l, err := s.NewContainer(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"one", "-x", "a/b", " "} {
		if _, err := s.NewContainer(&Container{Name: name}); err == nil {
			t.Errorf("the name %q is accepted", name)
		}
	}
	for _, text := range []string{"one", c.ID, c.ID[:5]} {
		if got, err := s.FindContainer(text); err != nil || got.ID != c.ID || !got.Running {
			t.Errorf("FindContainer(%q): %+v, %v", text, got, err)
		}
	}
	if _, err := s.Prune(PruneOptions{Containers: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.FindContainer("one"); err != nil {
		t.Errorf("a running container is gone: %v", err)
	}
	l.Unlock()
	if _, err := s.Prune(PruneOptions{Containers: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.FindContainer("one"); !errors.Is(err, ErrNotFound) {
		t.Errorf("after prune: %v", err)
	}
}
