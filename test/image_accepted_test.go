package test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// ownedArchive is the file in the work directory with an image that has the files of ownerEntries,
// as docker save writes it. expected/ownedArchive is what listOwned prints in it for real root.
const ownedArchive = "owned.tar"

// listOwned is the command that lists the files of ownerEntries.
var listOwned = []string{"find", "/o", "-exec", "stat", "-c", statFormat, "{}", "+"}

// ownedImage returns that image.
func ownedImage() (v1.Image, error) {
	archive, err := archiveOf(ownerEntries())
	if err != nil {
		return nil, err
	}
	return baseImageWith(archive)
}

// listOwnedAsRoot writes ownedArchive, and lists its files in a container of Debian 13's podman, as
// real root.
func listOwnedAsRoot(work string) (err error) {
	if _, missing := unmet("busybox"); missing {
		return nil // the test is skipped, with the reason
	}
	if _, err := os.Stat(filepath.Join(work, enter13)); err != nil {
		return nil // as above
	}
	img, err := ownedImage()
	if err != nil {
		return err
	}
	tag, err := name.NewTag("localhost/owned:latest")
	if err != nil {
		return err
	}
	if err := tarball.WriteToFile(filepath.Join(work, ownedArchive), tag, img); err != nil {
		return err
	}
	digest, err := img.Digest()
	if err != nil {
		return err
	}
	cache, err := cacheDir()
	if err != nil {
		return err
	}
	dir := filepath.Join(work, "root-podman")
	podman := func(args ...string) ([]byte, error) {
		argv := in13(work, work, append([]string{"podman", "--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "run"), "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs"}, args...)...)
		var messages strings.Builder
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Stderr = &messages
		out, err := cmd.Output()
		if err != nil {
			err = fmt.Errorf("%v as real root: %w\n%s", cmd.Args, err, messages.String())
		}
		return out, err
	}
	version, err := podman("--version")
	if err != nil {
		return err
	}
	list, err := cached(filepath.Join(cache, "results", ownedArchive), fmt.Sprintf("%s %s %q", version, digest, listOwned), func() ([]byte, error) {
		if _, err := podman("load", "-q", "-i", filepath.Join(work, ownedArchive)); err != nil {
			return nil, err
		}
		return podman(append([]string{"run", "--rm", "--network=none", "--cgroups=disabled", tag.Name()}, listOwned...)...)
	})
	if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(work, "expected", ownedArchive), list, 0o644)
}

// TestImageOwnersOfRoot compares the files of a container with those that real root sees in a
// container of podman.
func TestImageOwnersOfRoot(t *testing.T) {
	needs(t, "root", "debian13", "busybox")
	want, err := os.ReadFile(work("expected", ownedArchive))
	if err != nil {
		t.Fatal(err)
	}
	store := imageStore(t)
	image := strings.TrimSpace(subuidless(t, "pull", "-q", store, "docker-archive:"+work(ownedArchive)))
	out := subuidless(t, append([]string{"run", "--rm", "-q", store, image}, listOwned...)...)
	diffLines(t, "podman", sortedLines(out), sortedLines(string(want)))
}

// TestImageAccepted lets other programs read images that were built and committed here, from a
// registry and from files of every format.
func TestImageAccepted(t *testing.T) {
	needs(t, "busybox", "podman", "skopeo", "umoci")
	e := newEngine(t)
	base := e.addr + "/owned"
	img, err := ownedImage()
	if err != nil {
		t.Fatal(err)
	}
	writeRemote(t, base, img)
	// Podman 4 makes names of paths, which must be in lower case.
	store, dir := imageStore(t), e.home("images")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	built, committed := e.addr+"/built", e.addr+"/committed"
	buildCopied(t, store, base, built, dir)
	subuidless(t, "run", "-q", store, "--name=changed", base, "sh", "-c", changeOwned)
	subuidless(t, "commit", "-q", store, "changed", committed)
	want := sortedLines(subuidless(t, append([]string{"run", "--rm", "-q", store, built}, listOwned...)...))
	withPodman := func(image string, list []string) []string {
		return sortedLines(e.run(append([]string{"podman", "run", "--rm", "--network=none", image}, list...)...))
	}
	for _, image := range []string{built, committed} {
		diffLines(t, image, sortedLines(subuidless(t, append([]string{"run", "--rm", "-q", store, image}, listOwned...)...)), want)
		checkAccepted(t, e, store, image, filepath.Join(dir, filepath.Base(image)))
		// In a user namespace, podman leaves out devices of images.
		noDevices := slices.DeleteFunc(slices.Clone(want), func(line string) bool { return strings.HasSuffix(line, " special file") })
		diffLines(t, image+" with podman", withPodman(image, listOwned), noDevices)
	}
	copied := slices.Clone(listOwned)
	copied[1] = "/copied"
	list := sortedLines(subuidless(t, append([]string{"run", "--rm", "-q", store, built}, copied...)...))
	if len(list) < 20 {
		t.Errorf("too little has been copied: %s", list)
	}
	diffLines(t, "copied, with podman", withPodman(built, copied), list)
}

// buildCopied builds an image by RUN, and by COPY from a directory, which it creates in dir, with links,
// a FIFO, a socket, a sparse file, and names and modes that are unusual.
func buildCopied(t *testing.T, store, base, image, dir string) {
	t.Helper()
	script := exec.Command("sh", "-ec", `mkdir context
cd context
mkdir -p files/empty files/closed "files/a name/ümlaut"
cd files
echo x >file
ln file hard
ln -s file link
ln -s /etc/passwd absolute
ln -s missing/../../.. dangling
mkfifo -m 640 fifo
truncate -s 1M sparse
echo end >>sparse
echo x >setuid
chmod 6711 setuid
echo x >"$(printf %0200d 1)"
mkdir -p "$(printf %0150d 2)/$(printf %0150d 3)"
echo x >"$(printf %0150d 2)/$(printf %0150d 3)/deep"
touch -d 1969-12-31T00:00:00Z old
touch -d 2100-01-01 new
chmod 1777 empty
chmod 500 closed
cat >../Dockerfile <<'EOT'
FROM `+base+`
RUN <<EOF
`+changeOwned+`
EOF
COPY files /copied/files/
COPY --chown=4294967294:3000000000 --link files/file files/link files/fifo /copied/linked/
COPY --chown=www-data:5 --chmod=750 files/hard /copied/mode/
RUN rm /copied/files/new && mv /copied/files/empty /copied/files/moved
EOT`)
	script.Dir = dir
	if out, err := script.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	listener, err := net.Listen("unix", filepath.Join(dir, "context", "files", "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	subuidless(t, "build", "-q", store, "-t", image, filepath.Join(dir, "context"))
}

// checkAccepted pushes an image of the store, saves it in every format, and lets other programs read
// what comes of it. It creates the directory dir.
func checkAccepted(t *testing.T, e *engine, store, image, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	subuidless(t, "push", "-q", store, image)
	names := map[string]string{"registry": "docker://" + image} // as skopeo and podman know them
	for _, format := range []string{"oci-dir", "oci-archive", "docker-archive"} {
		path := filepath.Join(dir, format)
		subuidless(t, "save", store, "--format", format, "-o", path, image)
		names[format] = strings.TrimSuffix(format, "-dir") + ":" + path
	}

	for what, read := range map[string]func() (v1.Image, error){
		"registry": func() (v1.Image, error) {
			ref, err := name.ParseReference(image)
			if err != nil {
				return nil, err
			}
			return remote.Image(ref)
		},
		"oci-dir": func() (v1.Image, error) {
			index, err := layout.ImageIndexFromPath(filepath.Join(dir, "oci-dir"))
			if err != nil {
				return nil, err
			}
			if err := validate.Index(index); err != nil {
				return nil, err
			}
			manifest, err := index.IndexManifest()
			if err != nil {
				return nil, err
			}
			return index.Image(manifest.Manifests[0].Digest)
		},
		"docker-archive": func() (v1.Image, error) { return tarball.ImageFromPath(filepath.Join(dir, "docker-archive"), nil) },
	} {
		img, err := read()
		if err == nil {
			err = validate.Image(img)
		}
		if err != nil {
			t.Errorf("%s: go-containerregistry, %s: %v", image, what, err)
		}
	}

	var seen []struct{ Id string } //nolint:revive // docker's name
	if err := json.Unmarshal([]byte(subuidless(t, "inspect", store, image)), &seen); err != nil {
		t.Fatal(err)
	}
	id := strings.TrimPrefix(seen[0].Id, "sha256:")
	for what, source := range names {
		copied := filepath.Join(dir, "skopeo-"+what)
		if out, err := e.command("skopeo", "--insecure-policy", "copy", "--src-tls-verify=false", source, "dir:"+copied).CombinedOutput(); err != nil {
			t.Errorf("%s: skopeo, %s: %v\n%s", image, what, err, out)
		} else if _, err := os.Stat(filepath.Join(copied, id)); err != nil {
			t.Errorf("%s: skopeo, %s: the configuration is another one: %v", image, what, err)
		}
		if got := strings.TrimSpace(e.run("podman", "pull", "-q", source)); got != id {
			t.Errorf("%s: podman, %s: the id is %s, want %s", image, what, got, id)
		}
	}

	unpacked := filepath.Join(dir, "layout") + ":tag"
	subuidless(t, "push", "-q", store, image, "oci:"+unpacked)
	if out, err := exec.Command("umoci", "unpack", "--rootless", "--image", unpacked, filepath.Join(dir, "bundle")).CombinedOutput(); err != nil {
		t.Errorf("%s: umoci: %v\n%s", image, err, out)
	}
}

// writeRemote makes img the image with that name.
func writeRemote(t *testing.T, image string, img v1.Image) {
	t.Helper()
	ref, err := name.ParseReference(image)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, img); err != nil {
		t.Fatal(err)
	}
}
