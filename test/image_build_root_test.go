package test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// buildBaseArchive is the file in the work directory with the image buildBase, as docker save
// writes it.
const buildBaseArchive = "build-base.tar"

// writeBuildBase writes buildBaseArchive.
func writeBuildBase(work string) error {
	img, err := baseImageWith()
	if err != nil {
		return err
	}
	tag, err := name.NewTag(buildBase)
	if err != nil {
		return err
	}
	return tarball.WriteToFile(filepath.Join(work, buildBaseArchive), tag, img)
}

// baseImageWith returns an image with the layer of the base image, and more layers.
func baseImageWith(more ...[]byte) (v1.Image, error) {
	content, err := baseLayer(false)
	if err != nil {
		return nil, err
	}
	img := empty.Image
	for _, archive := range append([][]byte{content}, more...) {
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive)), nil })
		if err != nil {
			return nil, err
		}
		if img, err = mutate.AppendLayers(img, layer); err != nil {
			return nil, err
		}
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", goarch()
	config.Config = v1.Config{Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, Cmd: []string{"/bin/sh"}}
	return mutate.ConfigFile(img, config)
}

// buildCasesAsRoot builds the cases in testdata/build with Debian 13's buildah as real root, and stores what
// they contain in the directory "expected/build". It takes what is still valid from the cache.
func buildCasesAsRoot(work string) (err error) {
	if _, missing := unmet("busybox"); missing {
		return nil // the test is skipped, with the reason
	}
	if err := writeBuildBase(work); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(work, enter13)); err != nil {
		return nil // as above
	}
	cases, err := readBuildCases(filepath.Join(work, "testdata", "build"))
	if err != nil {
		return err
	}
	cache, err := cacheDir()
	if err != nil {
		return err
	}
	cache, expected := filepath.Join(cache, "build"), filepath.Join(work, "expected", "build")
	for _, dir := range []string{cache, expected} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	remote, err := serveRemote()
	if err != nil {
		return err
	}
	defer remote.Close()
	b := &rootBuilder{work: work, dir: filepath.Join(work, "root-builds"), url: remote.URL}
	buildah := in13(work, work, "buildah", "--version")
	version, err := exec.Command(buildah[0], buildah[1:]...).Output()
	if err != nil {
		return err
	}
	base, err := os.ReadFile(filepath.Join(work, buildBaseArchive))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	for i := range cases {
		c := &cases[i]
		inputs := fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "%s %q %x %q %q %q", version, rootBuildArgs, sha256.Sum256(base), c.files, c.flags, c.setup)))
		output, err := cached(filepath.Join(cache, c.name), inputs, func() ([]byte, error) {
			fmt.Fprintf(os.Stderr, "building %s as real root\n", c.name)
			return b.build(c)
		})
		if err != nil {
			return fmt.Errorf("building %s as real root: %w", c.name, err)
		}
		if err := os.WriteFile(filepath.Join(expected, c.name), output, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// rootBuildArgs are the arguments of buildah. The isolation needs neither cgroups nor networks. Without
// --ulimit, buildah raises limits, for which root may lack the capability. With --squash, the image has
// one layer.
var rootBuildArgs = strings.Fields("build --isolation chroot --ulimit nproc=1024 --ulimit nofile=1024 --pull=never --layers=false --squash --format docker")

// rootBuilder builds cases with buildah in Debian 13, in a storage of its own.
type rootBuilder struct {
	work, dir string
	url       string // of serveRemote
	ready     bool
}

func (b *rootBuilder) buildah(dir string, args ...string) ([]byte, error) {
	global := []string{"--root", filepath.Join(b.dir, "root"), "--runroot", filepath.Join(b.dir, "run"), "--storage-driver", "vfs"}
	argv := in13(b.work, dir, append(append([]string{"buildah"}, global...), args...)...)
	cmd := exec.Command(argv[0], argv[1:]...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%v: %w\n%s", cmd.Args, err, out)
	}
	return out, nil
}

// build returns what the image of c contains, as JSON. An image that cannot be built is described
// by the key "error".
func (b *rootBuilder) build(c *buildCase) ([]byte, error) {
	if !b.ready {
		if err := os.Mkdir(b.dir, 0o700); err != nil {
			return nil, err
		}
		if _, err := b.buildah(b.work, "pull", "docker-archive:"+filepath.Join(b.work, buildBaseArchive)); err != nil {
			return nil, err
		}
		b.ready = true
	}
	context, image := filepath.Join(b.dir, "context"), filepath.Join(b.dir, "image")
	defer os.RemoveAll(context)
	defer os.RemoveAll(image)
	if err := c.makeContext(context); err != nil {
		return nil, err
	}
	args := append(slices.Clone(rootBuildArgs), c.arguments(b.url)...)
	d := described{}
	if _, err := b.buildah(context, append(args, "-t", "dir:"+image, ".")...); err != nil {
		d["error"] = err.Error()
		return json.MarshalIndent(d, "", "  ")
	}
	var m v1.Manifest
	if err := readJSON(filepath.Join(image, "manifest.json"), &m); err != nil {
		return nil, err
	}
	for _, l := range m.Layers {
		f, err := os.Open(filepath.Join(image, l.Digest.Hex))
		if err != nil {
			return nil, err
		}
		if err := errors.Join(d.addTree(f), f.Close()); err != nil {
			return nil, err
		}
	}
	raw, err := os.ReadFile(filepath.Join(image, m.Config.Digest.Hex))
	if err != nil {
		return nil, err
	}
	if err := d.addConfig(raw); err != nil {
		return nil, err
	}
	return json.MarshalIndent(d, "", "  ")
}
