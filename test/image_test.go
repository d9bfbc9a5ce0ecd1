package test

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// scriptLayer implements the command "layer IMAGE TAG", which prints the owner of
// each file in the topmost layer of an image in an OCI layout.
func scriptLayer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: layer IMAGE TAG")
	}
	ts.Check(printLayer(ts.Stdout(), ts.MkAbs(args[0]), args[1]))
}

func printLayer(w io.Writer, image, tag string) error {
	name, err := topLayer(image, tag)
	if err != nil {
		return err
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	layer, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	for archive := tar.NewReader(layer); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s %d:%d\n", h.Name, h.Uid, h.Gid)
	}
}

// topLayer returns the path of the topmost layer.
func topLayer(image, tag string) (string, error) {
	type descriptor struct {
		Digest      string
		Annotations map[string]string
	}
	blob := func(d descriptor) string {
		return filepath.Join(image, "blobs", strings.ReplaceAll(d.Digest, ":", "/"))
	}
	var index struct{ Manifests []descriptor }
	if err := readJSON(filepath.Join(image, "index.json"), &index); err != nil {
		return "", err
	}
	for _, d := range index.Manifests {
		if d.Annotations["org.opencontainers.image.ref.name"] != tag {
			continue
		}
		var manifest struct{ Layers []descriptor }
		if err := readJSON(blob(d), &manifest); err != nil {
			return "", err
		}
		return blob(manifest.Layers[len(manifest.Layers)-1]), nil
	}
	return "", fmt.Errorf("%s has no tag %s", image, tag)
}

func readJSON(name string, v any) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}
