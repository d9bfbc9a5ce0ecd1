package test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/rootless-containers/subuidless/internal/image/layer"
)

// testRegistry is a registry on the loopback interface.
type testRegistry struct {
	host string
	// handle, if not nil, answers a request itself and returns true.
	handle func(w http.ResponseWriter, r *http.Request) bool
}

func startRegistry(t *testing.T) *testRegistry {
	t.Helper()
	reg := new(testRegistry)
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if reg.handle == nil || !reg.handle(w, r) {
			inner.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	reg.host = strings.TrimPrefix(server.URL, "http://")
	return reg
}

// push makes img the image with that name, and returns its complete name.
func (reg *testRegistry) push(t *testing.T, repository string, img v1.Image) string {
	t.Helper()
	ref, err := name.ParseReference(reg.host + "/" + repository)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, img); err != nil {
		t.Fatal(err)
	}
	return ref.Name()
}

// entry is an entry of a layer: a header, and the content of a regular file.
type entry struct {
	tar.Header
	content string
}

var epoch = time.Unix(1_700_000_000, 0)

func tarOf(t *testing.T, entries []entry) []byte {
	t.Helper()
	archive, err := archiveOf(entries)
	if err != nil {
		t.Fatal(err)
	}
	return archive
}

// archiveOf returns a tar archive.
func archiveOf(entries []entry) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := e.Header
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if h.ModTime.IsZero() {
			h.ModTime = epoch
		}
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(e.content))
		}
		if h.PAXRecords == nil && h.Format == 0 {
			h.Format = tar.FormatGNU // any id
		}
		if err := w.WriteHeader(&h); err != nil {
			return nil, fmt.Errorf("%s: %w", h.Name, err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := io.WriteString(w, e.content); err != nil {
				return nil, err
			}
		}
	}
	return b.Bytes(), w.Close()
}

func layerOf(t *testing.T, archive []byte) v1.Layer {
	t.Helper()
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive)), nil })
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// imageOf returns an image of these layers.
func imageOf(t *testing.T, config v1.Config, layers ...[]entry) v1.Image {
	t.Helper()
	img := v1.Image(empty.Image)
	for _, entries := range layers {
		var err error
		if img, err = mutate.AppendLayers(img, layerOf(t, tarOf(t, entries))); err != nil {
			t.Fatal(err)
		}
	}
	file, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Config = "linux", goarch(), config
	if img, err = mutate.ConfigFile(img, file); err != nil {
		t.Fatal(err)
	}
	return img
}

// busyboxLayer has busybox and its usual names, as makeRootfs makes it.
func busyboxLayer(t *testing.T) []entry {
	t.Helper()
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Skip("busybox is missing")
	}
	program, err := os.ReadFile(busybox)
	if err != nil {
		t.Fatal(err)
	}
	entries := []entry{
		{Header: tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o755}},
		{Header: tar.Header{Name: "bin/", Typeflag: tar.TypeDir, Mode: 0o755}},
		{Header: tar.Header{Name: "bin/busybox", Mode: 0o755}, content: string(program)},
		{Header: tar.Header{Name: "etc/", Typeflag: tar.TypeDir, Mode: 0o755}},
		{Header: tar.Header{Name: "etc/passwd", Mode: 0o644}, content: "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/sh\n"},
		{Header: tar.Header{Name: "etc/group", Mode: 0o644}, content: "root:x:0:\nwww-data:x:33:\ntape:x:26:www-data\n"},
		{Header: tar.Header{Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o1777}},
	}
	for _, applet := range []string{"sh", "ls", "cat", "stat", "id", "find", "true", "test", "sleep", "env", "pwd", "chown", "touch", "rm", "mkdir", "readlink", "sha256sum", "echo", "getfattr", "mv", "ln", "tar"} {
		entries = append(entries, entry{Header: tar.Header{Name: "bin/" + applet, Typeflag: tar.TypeSymlink, Linkname: "busybox", Mode: 0o777}})
	}
	return entries
}

// imageStore returns the arguments --root DIR for a new store.
func imageStore(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	t.Cleanup(func() { // directories of any mode
		if err := layer.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return "--root=" + dir
}

// fails runs subuidless, which must fail, and returns its output.
func fails(t *testing.T, args ...string) string {
	t.Helper()
	cmd := command(t, append([]string{"subuidless"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatalf("%s succeeded:\n%s", cmd, out)
	}
	return string(out)
}
