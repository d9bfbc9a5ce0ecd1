package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sys/unix"
)

func TestMatch(t *testing.T) {
	indexOf := func(platforms ...string) *v1.IndexManifest {
		index := new(v1.IndexManifest)
		for _, text := range platforms {
			d := v1.Descriptor{ArtifactType: text}
			if text != "" {
				p, err := v1.ParsePlatform(text)
				if err != nil {
					t.Fatal(err)
				}
				d.Platform = p
			}
			index.Manifests = append(index.Manifests, d)
		}
		return index
	}
	for _, tt := range []struct {
		index    *v1.IndexManifest
		platform string
		want     string // empty: none
	}{
		{indexOf("linux/arm64", "linux/amd64"), "linux/amd64", "linux/amd64"},
		{indexOf("linux/arm64/v8", "linux/amd64"), "linux/arm64", "linux/arm64/v8"},
		{indexOf("linux/arm64", "linux/amd64"), "linux/arm64/v8", "linux/arm64"},
		{indexOf("linux/arm/v6", "linux/arm/v7"), "linux/arm", "linux/arm/v7"},
		{indexOf("linux/arm/v6", "linux/arm/v7"), "linux/arm/v6", "linux/arm/v6"},
		{indexOf("linux/arm/v7"), "linux/arm/v5", ""},
		{indexOf("windows/amd64"), "linux/amd64", ""},
		{indexOf("linux/amd64/v3"), "linux/amd64", ""},
		{indexOf("linux/amd64/v3"), "linux/amd64/v3", "linux/amd64/v3"},
		{indexOf(""), "linux/amd64", "only"},
	} {
		d, err := match(tt.index, tt.platform)
		got := ""
		if err == nil {
			if got = d.ArtifactType; got == "" {
				got = "only"
			}
		}
		if got != tt.want {
			t.Errorf("%s among %v: %q, %v; want %q", tt.platform, tt.index.Manifests, got, err, tt.want)
		}
	}
	for _, text := range []string{"linux", "linux/", "/amd64", "a/b/c/d"} {
		if _, err := platforms(text); err == nil {
			t.Errorf("the platform %q is accepted", text)
		}
	}
}

func TestNewManifest(t *testing.T) {
	for raw, want := range map[string]types.MediaType{
		`{"mediaType":"application/vnd.docker.distribution.manifest.v2+json"}`: types.DockerManifestSchema2,
		`{"schemaVersion":2,"config":{},"layers":[]}`:                          types.OCIManifestSchema1,
		`{"schemaVersion":2,"manifests":[]}`:                                   types.OCIImageIndex,
	} {
		if m, err := newManifest([]byte(raw), "", nil); err != nil || m.mediaType != want {
			t.Errorf("%s: %v, %v", raw, m, err)
		}
	}
	if _, err := newManifest([]byte("{"), "", nil); err == nil {
		t.Error("malformed JSON is accepted")
	}
	if _, err := newManifest([]byte("{}"), "", &v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("0", 64)}); err == nil {
		t.Error("a wrong digest is accepted")
	}
}

func TestIsTemporary(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{fmt.Errorf("x: %w", io.ErrUnexpectedEOF), true},
		{errStalled, true},
		{unix.ECONNRESET, true},
		{&fs.PathError{Op: "write", Path: "x", Err: unix.ENOSPC}, false},
		{errors.New("other"), false},
	} {
		if got := isTemporary(tt.err); got != tt.want {
			t.Errorf("isTemporary(%v) = %v", tt.err, got)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	calls := 0
	if err := retry(ctx, func() error { calls++; return io.ErrUnexpectedEOF }); err == nil || calls != 1 {
		t.Errorf("after an interrupt: %d calls, %v", calls, err)
	}
}

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{0: "0B", 999: "999B", 1000: "1kB", 54_786_014: "54.8MB", 3_000_000_000: "3GB"} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %s, want %s", n, got, want)
		}
	}
	var out bytes.Buffer
	p := &lines{out: &out}
	p.Start("one", 1000).End(true)
	p.Start("two", 1).End(false)
	if out.String() != "one: 1kB\n" {
		t.Errorf("lines: %q", out.String())
	}
}
