package test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// attestation is what an attestation says.
const attestation = `{"predicateType":"test"}`

// indexOf returns an index as buildx makes it: images for native and foreign, one for another system, and an
// attestation. The file /for says which. Docker means that its media types are docker's; then there is no
// attestation.
func indexOf(t *testing.T, docker bool) v1.ImageIndex {
	t.Helper()
	index, manifest, config, layer := types.OCIImageIndex, types.OCIManifestSchema1, types.OCIConfigJSON, types.OCILayer
	if docker {
		index, manifest, config, layer = types.DockerManifestList, types.DockerManifestSchema2, types.DockerConfigJSON, types.DockerLayer
	}
	typed := func(img v1.Image) v1.Image { return mutate.ConfigMediaType(mutate.MediaType(img, manifest), config) }
	all := mutate.IndexMediaType(empty.Index, index)
	for _, platform := range []v1.Platform{foreign, native, {OS: "windows", Architecture: "amd64"}} {
		img := typed(empty.Image)
		for _, entries := range [][]entry{busyboxLayer(t), {regular("for", platform.Architecture)}} {
			layers, err := imageOf(t, v1.Config{}, entries).Layers()
			if err != nil {
				t.Fatal(err)
			}
			if img, err = mutate.Append(img, mutate.Addendum{Layer: layers[0], MediaType: layer}); err != nil {
				t.Fatal(err)
			}
		}
		c, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		c.OS, c.Architecture = platform.OS, platform.Architecture
		if img, err = mutate.ConfigFile(img, c); err != nil {
			t.Fatal(err)
		}
		all = mutate.AppendManifests(all, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &platform}})
	}
	if docker {
		return all
	}
	attested, err := mutate.AppendLayers(typed(empty.Image), static.NewLayer([]byte(attestation), "application/vnd.in-toto+json"))
	if err != nil {
		t.Fatal(err)
	}
	return mutate.AppendManifests(all, mutate.IndexAddendum{Add: attested, Descriptor: v1.Descriptor{
		Platform: &v1.Platform{OS: "unknown", Architecture: "unknown"}, Annotations: map[string]string{"vnd.docker.reference.type": "attestation-manifest"},
	}})
}

// TestPullAllPlatforms pulls indexes whole, and follows them through the store to registries and archives:
// they keep their digest, and each image its files.
func TestPullAllPlatforms(t *testing.T) {
	needs(t, "busybox")
	reg := startRegistry(t)
	for media, docker := range map[string]bool{"oci": false, "docker": true} {
		t.Run(media, func(t *testing.T) {
			index := indexOf(t, docker)
			digest, err := index.Digest()
			if err != nil {
				t.Fatal(err)
			}
			manifest, err := index.IndexManifest()
			if err != nil {
				t.Fatal(err)
			}
			image := reg.host + "/all/" + media + ":1"
			from, err := name.ParseReference(image)
			if err != nil {
				t.Fatal(err)
			}
			if err := remote.WriteIndex(from, index); err != nil {
				t.Fatal(err)
			}
			pushed := func(store, image, repository string) v1.ImageIndex {
				t.Helper()
				subuidless(t, "push", "-q", store, image, reg.host+"/"+repository)
				got, err := remote.Index(from.Context().Registry.Repo(repository).Tag("latest"))
				if err != nil {
					t.Fatal(err)
				}
				m, err := got.IndexManifest()
				if err != nil || len(m.Manifests) != len(manifest.Manifests) {
					t.Fatalf("%s: %+v, %v", repository, m, err)
				}
				for _, d := range m.Manifests {
					img, err := got.Image(d.Digest)
					if err != nil {
						t.Fatalf("%s: %v", repository, err)
					}
					if d.Platform.OS != "unknown" {
						if err := validate.Image(img); err != nil {
							t.Errorf("%s: %s: %v", repository, d.Platform, err)
						}
					} else if got := string(compressed(t, img, 0)); got != attestation {
						t.Errorf("%s: the attestation is %q", repository, got)
					}
				}
				return got
			}
			store, dir := imageStore(t), t.TempDir()
			if id := strings.TrimSpace(subuidless(t, "pull", "-q", "--all-platforms", store, image)); id != digest.Hex {
				t.Errorf("pull: %s, want %s", id, digest.Hex)
			}
			if got, err := pushed(store, image, "again/"+media).Digest(); err != nil || got != digest {
				t.Errorf("push: %s, want %s (%v)", got, digest, err)
			}
			if got := subuidless(t, "run", "--rm", store, image, "cat", "/for"); got != native.Architecture {
				t.Errorf("run: %s", got)
			}
			// The other one is unpacked when it is used.
			subuidless(t, "create", "--name=other", "--platform="+foreign.String(), store, image, "true")
			subuidless(t, "cp", store, "other:/for", dir+"/for")
			if got, err := os.ReadFile(dir + "/for"); err != nil || string(got) != foreign.Architecture {
				t.Errorf("--platform: %q, %v", got, err)
			}
			subuidless(t, "rm", store, "other")

			subuidless(t, "save", "--format=oci-archive", "-o", dir+"/archive", store, image)
			other := imageStore(t)
			subuidless(t, "load", "-q", "-i", dir+"/archive", other)
			got, err := pushed(other, image, "loaded/"+media).Digest()
			if err != nil || (got == digest) == docker { // a layout cannot have docker's
				t.Errorf("loaded: %s, and was %s (%v)", got, digest, err)
			}
			subuidless(t, "save", "--format=docker-dir", "-o", dir+"/dir", store, image)
			third := imageStore(t)
			subuidless(t, "pull", "-q", "--all-platforms", third, "dir:"+dir+"/dir")
			if got, err := pushed(third, digest.Hex, "dir/"+media).Digest(); err != nil || got != digest {
				t.Errorf("dir: %s, want %s (%v)", got, digest, err)
			}

			if out := subuidless(t, "prune", "-f", store) + subuidless(t, "store", "check", store); !strings.Contains(out, "in order") {
				t.Error(out)
			}
			last := manifest.Manifests[len(manifest.Manifests)-1].Digest.Hex
			blobs := filepath.Join(strings.TrimPrefix(store, "--root="), "blobs", "sha256")
			if _, err := os.Stat(filepath.Join(blobs, last)); err != nil {
				t.Errorf("prune has removed a manifest of the index: %v", err)
			}
			subuidless(t, "rmi", store, image)
			if left, err := os.ReadDir(blobs); err != nil || len(left) > 0 {
				t.Errorf("after rmi: %v, %v", left, err)
			}
			wantText(t, "both flags", fails(t, "pull", "--all-platforms", "--platform="+foreign.String(), store, image), "cannot be combined")

			// One manifest is missing: nothing is there.
			reg.handle = func(w http.ResponseWriter, r *http.Request) bool {
				missing := strings.HasSuffix(r.URL.Path, last)
				if missing {
					w.WriteHeader(http.StatusNotFound)
				}
				return missing
			}
			defer func() { reg.handle = nil }()
			wantText(t, "an index that is not complete", fails(t, "pull", "-q", "--all-platforms", store, image), last)
			if out := subuidless(t, "images", "-q", store); out != "" {
				t.Errorf("after a pull that has failed: %s", out)
			}
		})
	}
}
