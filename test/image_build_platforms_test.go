package test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// foreign is a platform that this machine cannot execute, unless binfmt_misc has an emulator.
var foreign = v1.Platform{OS: "linux", Architecture: map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]}

// native is the platform of this machine.
var native = v1.Platform{OS: "linux", Architecture: runtime.GOARCH}

// bothPlatforms is the value of --platform for the two.
var bothPlatforms = native.String() + "," + foreign.String()

// pushBases makes an index the image base:1, with an image for native and one for foreign. The file /for
// says which.
func (reg *testRegistry) pushBases(t *testing.T) string {
	t.Helper()
	index := v1.ImageIndex(empty.Index)
	for _, platform := range []v1.Platform{foreign, native} {
		img := imageOf(t, v1.Config{}, append(busyboxLayer(t), regular("for", platform.Architecture)))
		config, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		config.OS, config.Architecture = platform.OS, platform.Architecture
		if img, err = mutate.ConfigFile(img, config); err != nil {
			t.Fatal(err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &platform}})
	}
	ref, err := name.ParseReference(reg.host + "/base:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(ref, index); err != nil {
		t.Fatal(err)
	}
	return ref.Name()
}

// TestBuildPlatforms builds for two platforms, and follows the index to a registry, a layout, archives
// and a directory.
func TestBuildPlatforms(t *testing.T) {
	needs(t, "busybox")
	reg := startRegistry(t)
	var requests atomic.Int64
	reg.handle = func(http.ResponseWriter, *http.Request) bool { requests.Add(1); return false }
	base := reg.pushBases(t)
	b := newBuildDir(t, map[string]string{"Dockerfile": `FROM --platform=$BUILDPLATFORM ` + base + ` AS compiler
ARG TARGETARCH
RUN cat /for > /out; echo $TARGETARCH >> /out; chown 33:44 /out
FROM --platform=$BUILDPLATFORM ` + base + ` AS once
RUN cat /proc/sys/kernel/random/uuid > /same
FROM ` + base + `
COPY --from=compiler /out /out
COPY --from=once /same /same
WORKDIR /srv
`})
	out, pushed := t.TempDir(), reg.host+"/pushed:1"
	flags := []string{"--platform", bothPlatforms, "--tls-verify=false", "."}
	id, progress := b.build(append([]string{
		"-t", pushed, "--push", "--metadata-file", out + "/metadata", "--no-cache", "--annotation=index:a=b",
		"-o", "type=oci,dest=" + out + "/oci", "-o", out + "/dir", "-o", "type=tar,dest=" + out + "/tar",
	}, flags...)...)
	if n := strings.Count(progress, "uuid > /same"); n < 2 || strings.Count(progress, "CACHED") != 1 {
		t.Errorf("the stage that is the same for both platforms was not built once:\n%s", progress)
	}

	ref, err := name.ParseReference(pushed)
	if err != nil {
		t.Fatal(err)
	}
	index, err := remote.Index(ref)
	if err != nil {
		t.Fatal(err)
	}
	checkPlatforms(t, index, id)
	var metadata struct {
		Digest string `json:"containerimage.digest"`
		Config string `json:"containerimage.config.digest"`
	}
	if text, err := os.ReadFile(out + "/metadata"); err != nil || json.Unmarshal(text, &metadata) != nil || metadata.Digest != id || metadata.Config != "" {
		t.Errorf("--metadata-file: %s (%v)", text, err)
	}

	subuidless(t, "tag", b.store, pushed, "multi")
	subuidless(t, "save", b.store, "--format=oci-dir", "-o", out+"/saved", "multi")
	output(t, "tar", "-xf", out+"/oci", "-C", out, "--one-top-level=written")
	for _, dir := range []string{"saved", "written"} {
		top, err := layout.ImageIndexFromPath(filepath.Join(out, dir))
		if err != nil {
			t.Fatal(err)
		}
		manifest, err := top.IndexManifest()
		if err != nil || len(manifest.Manifests) != 1 {
			t.Fatalf("%s: %+v (%v)", dir, manifest, err)
		}
		index, err := top.ImageIndex(manifest.Manifests[0].Digest)
		if err != nil {
			t.Fatal(err)
		}
		checkPlatforms(t, index, id)
	}
	if _, missing := unmet("skopeo"); !missing { // its copy has the same files
		output(t, "skopeo", "--insecure-policy", "copy", "-q", "--all", "oci:"+out+"/saved:docker.io/library/multi:latest", "dir:"+out+"/skopeo")
		subuidless(t, "save", b.store, "--format=docker-dir", "-o", out+"/ours", "multi")
		output(t, "diff", "-r", out+"/skopeo", out+"/ours")
	}
	archive := output(t, "tar", "-tvf", out+"/tar", "--numeric-owner")
	for _, p := range []v1.Platform{native, foreign} {
		dir := "linux_" + p.Architecture
		if text, err := os.ReadFile(filepath.Join(out, "dir", dir, "out")); err != nil || string(text) != native.Architecture+p.Architecture+"\n" {
			t.Errorf("--output: %s: %q (%v)", dir, text, err)
		}
		if !strings.Contains(archive, " 33/44 ") || !strings.Contains(archive, dir+"/for") {
			t.Errorf("--output type=tar: no %s in\n%s", dir, archive)
		}
	}
	wantText(t, "save", fails(t, "save", b.store, "-o", out+"/no", "multi"), "has 2 platforms", "--platform")
	subuidless(t, "save", b.store, "--platform="+foreign.String(), "-o", out+"/one", "multi")
	other := imageStore(t)
	subuidless(t, "load", other, "-q", "-i", out+"/one")
	if got := subuidless(t, "inspect", other, "-f", "{{.Architecture}}", "multi"); got != foreign.Architecture+"\n" {
		t.Errorf("save --platform: %s", got)
	}

	subuidless(t, "load", other, "-q", "-i", out+"/oci")
	subuidless(t, "push", "-q", other, id, "oci:"+out+"/loaded:x")
	subuidless(t, "load", other, "-q", "-i", out+"/saved")
	subuidless(t, "push", "-q", "--tls-verify=false", other, "multi", reg.host+"/again:1")
	again, err := remote.Index(ref.Context().Registry.Repo("again").Tag("1"))
	if err != nil {
		t.Fatal(err)
	}
	checkPlatforms(t, again, id)
	subuidless(t, "store", "check", other)

	// This machine's is the one that runs and is shown; the name of the base is still that of its own image.
	if got := subuidless(t, "run", "--rm", b.store, "multi", "cat", "/for"); got != native.Architecture {
		t.Errorf("run: %s", got)
	}
	if got := subuidless(t, "inspect", b.store, "-f", "{{.Architecture}}", base); got != native.Architecture+"\n" {
		t.Errorf("the base has become that for %s", got)
	}
	// A build that is based on it takes each platform's, and another one is cached, without a registry.
	before := requests.Load()
	if _, progress := b.build(append([]string{"--pull=never", "-t", "again"}, flags...)...); strings.Count(progress, "CACHED") != 10 {
		t.Errorf("the second build:\n%s", progress)
	}
	b.write(map[string]string{"Dockerfile": "FROM multi\nCOPY --from=again out /again\n"})
	b.build(append([]string{"-t", "based", "-o", out + "/based"}, flags...)...)
	if n := requests.Load() - before; n != 0 {
		t.Errorf("later builds have made %d requests", n)
	}
	for _, p := range []v1.Platform{native, foreign} {
		dir := filepath.Join(out, "based", "linux_"+p.Architecture)
		if text, err := os.ReadFile(dir + "/for"); err != nil || string(text) != p.Architecture {
			t.Errorf("%s: %q (%v)", dir, text, err)
		}
		if text, err := os.ReadFile(dir + "/again"); err != nil || !strings.HasSuffix(string(text), p.Architecture+"\n") {
			t.Errorf("%s: %q (%v)", dir, text, err)
		}
	}
	subuidless(t, "tag", b.store, "multi", "tagged")
	subuidless(t, "rmi", b.store, "multi", pushed, "again")
	subuidless(t, "push", "-q", b.store, "tagged", "oci:"+out+"/pushed")
	b.clean()
	subuidless(t, "rmi", "-a", b.store)
	if out := subuidless(t, "images", "-q", b.store); out != "" {
		t.Errorf("after rmi -a: %s", out)
	}
	for _, p := range []v1.Platform{foreign, native} {
		b.write(map[string]string{"Dockerfile": "FROM scratch\nARG TARGETARCH\nCOPY <<EOF /arch\n$TARGETARCH\nEOF\n"})
		b.build("--platform", p.String(), "--manifest=list", ".")
	}
	subuidless(t, "push", "-q", "--tls-verify=false", b.store, "list", reg.host+"/list:1")
	if list, err := remote.Index(ref.Context().Registry.Repo("list").Tag("1")); err != nil || validate.Index(list) != nil {
		t.Errorf("--manifest: %v", err)
	}
	wantText(t, "--platform", b.fails("--platform=linux", "."), "must be linux/ARCH")
}

// checkPlatforms validates an index with an image for native and foreign, whose digest is id.
func checkPlatforms(t *testing.T, index v1.ImageIndex, id string) {
	t.Helper()
	if err := validate.Index(index); err != nil {
		t.Errorf("the index is not valid: %v", err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if digest, err := index.Digest(); err != nil || digest.String() != id || manifest.Annotations["a"] != "b" || len(manifest.Manifests) != 2 {
		t.Fatalf("the index %s, and not %s: %+v", digest, id, manifest)
	}
	for i, want := range []v1.Platform{native, foreign} {
		d := manifest.Manifests[i]
		img, err := index.Image(d.Digest)
		if err != nil {
			t.Fatal(err)
		}
		config, err := img.ConfigFile()
		if err != nil || !d.Platform.Equals(want) || !config.Platform().Equals(want) {
			t.Errorf("the image of %s is for %s, and not %s (%v)", d.Platform, config.Platform(), want, err)
		}
	}
}

// output runs a program of the host, and returns its standard output.
func output(t *testing.T, argv ...string) string {
	t.Helper()
	out, err := command(t, argv...).Output()
	if err != nil {
		t.Fatalf("%q: %v", argv, err)
	}
	return string(out)
}

// TestBuildForeign has RUN in a stage for another architecture: with an emulator, and without one.
func TestBuildForeign(t *testing.T) {
	needs(t, "busybox")
	// A shell is the emulator of these programs. It is registered in a user namespace of the test.
	b := newBuildDir(t, map[string]string{"prog": "#EMULATED\necho emulated as $(id -u)\nchown 33:44 /made\n", "Dockerfile": "FROM localhost/base\nCOPY --chmod=755 prog /prog\nRUN touch /made\nRUN [\"/prog\"]\n"})
	const register = `mount -t binfmt_misc none "$1"; echo ":test:M:1:EMULATED::$2:F" > "$1/register"; shift 2; exec "$@"`
	dir := t.TempDir()
	busybox := strings.TrimSpace(output(t, "sh", "-c", "command -v busybox"))
	if err := os.Symlink(busybox, dir+"/sh"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir+"/binfmt", 0o755); err != nil {
		t.Fatal(err)
	}
	inside := func(args ...string) (string, error) {
		cmd := command(t, append([]string{"unshare", "-rm", "sh", "-euc", register, "sh", dir + "/binfmt", dir + "/sh"}, args...)...)
		cmd.Dir = b.dir
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := inside("true"); err != nil {
		t.Skipf("binfmt_misc cannot be mounted in a user namespace (Linux 6.7): %v: %s", err, out)
	}
	if out, err := inside(b.command("-t", "made", "-o", "type=tar,dest="+dir+"/tar", ".").Args...); err != nil || !strings.Contains(out, "emulated as 0") {
		t.Errorf("with an emulator: %v\n%s", err, out)
	}
	if out := output(t, "tar", "-tvf", dir+"/tar", "--numeric-owner"); !strings.Contains(out, " 33/44 ") {
		t.Errorf("what the emulated program has made:\n%s", out)
	}
	base := startRegistry(t).pushBases(t)
	b.write(map[string]string{"Dockerfile": "FROM " + base + "\n\nCOPY --chmod=755 prog /prog\nRUN [\"/prog\"]\n"})
	wantText(t, "without an emulator", b.fails("--tls-verify=false", "--platform", foreign.String(), "."), "Dockerfile:4: ", "exec format error", "the stage is for "+foreign.String(), "binfmt_misc")
	b.clean()
}
