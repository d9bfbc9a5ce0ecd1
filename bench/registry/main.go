// Command registry serves images for bench/images.
//
// Usage: registry DIRECTORY NAME=LAYER.tar...
//
// It prints the address of a registry, HOST:PORT, which has an image of one layer for each NAME, and
// of a server of the files in DIRECTORY, and serves until standard input ends.
package main

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: registry DIRECTORY NAME=LAYER.tar...")
		os.Exit(2)
	}
	if err := serve(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "registry:", err)
		os.Exit(1)
	}
}

func serve(dir string, images []string) error {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	files := httptest.NewServer(http.FileServer(http.Dir(dir)))
	defer files.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	for _, image := range images {
		repository, layer, ok := strings.Cut(image, "=")
		if !ok {
			return fmt.Errorf("%q: must be NAME=LAYER.tar", image)
		}
		if err := push(host+"/"+repository, layer); err != nil {
			return err
		}
	}
	fmt.Println(host, strings.TrimPrefix(files.URL, "http://"))
	_, err := bufio.NewReader(os.Stdin).ReadString(0)
	if err == io.EOF {
		return nil
	}
	return err
}

// push pushes an image of one layer, which is compressed as docker compresses it.
func push(image, tar string) error {
	layer, err := tarball.LayerFromFile(tar, tarball.WithCompressionLevel(gzip.DefaultCompression))
	if err != nil {
		return err
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return err
	}
	file, err := img.ConfigFile()
	if err != nil {
		return err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture = "linux", runtime.GOARCH
	file.Config = v1.Config{Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, Cmd: []string{"sh"}}
	if img, err = mutate.ConfigFile(img, file); err != nil {
		return err
	}
	ref, err := name.ParseReference(image)
	if err != nil {
		return err
	}
	return remote.Write(ref, img)
}
