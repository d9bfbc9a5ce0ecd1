package test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// TestImageEndToEnd builds an image with servers of Debian, pushes, removes, pulls and runs it, in a
// root file system of Debian that has nothing but the binary, as a user without subordinate ids.
func TestImageEndToEnd(t *testing.T) {
	needs(t, "debian", "servers", "bwrap")
	dir := closedDir(t)
	rootfs, home := filepath.Join(dir, "rootfs"), filepath.Join(dir, "home")
	for _, d := range []string{rootfs, filepath.Join(rootfs, "context"), home, filepath.Join(home, "sockets")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(home, "sockets"), 0o777); err != nil { // for the users of the container
		t.Fatal(err)
	}
	if out, err := command(t, "tar", "-C", rootfs, "--no-same-owner", "--exclude=./dev/*", "--exclude=./usr/share/*/*", "-xpf", work("debian12.tar")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := copyFile(filepath.Join(rootfs, "usr/local/bin/subuidless"), work("bin", "subuidless")); err != nil {
		t.Fatal(err)
	}

	packages := httptest.NewServer(http.FileServer(http.Dir(work("servers"))))
	t.Cleanup(packages.Close)
	images := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithBlobHandler(registry.NewDiskBlobHandler(t.TempDir()))))
	t.Cleanup(images.Close)
	host := strings.TrimPrefix(images.URL, "http://")
	if err := pushDebian(host+"/debian:12", work("debian12.tar")); err != nil {
		t.Fatal(err)
	}

	// Its user namespace maps one id, as those of subuidless do.
	cmd := command(t, "bwrap", "--unshare-pid", "--die-with-parent", "--ro-bind", rootfs, "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", "--tmpfs", "/run",
		"--ro-bind", work("testdata", "endtoend"), "/context", "--bind", home, "/home", "--chdir", "/home",
		"sh", "/context/user.sh")
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/home", "REGISTRY=" + host, "MIRROR=" + packages.URL}
	var messages strings.Builder
	cmd.Stderr = &messages
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var printed strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if lines.Text() == "serving" {
			fmt.Fprintln(&printed, getPage(filepath.Join(home, "sockets", "web")))
			fmt.Fprintln(in)
			continue
		}
		fmt.Fprintln(&printed, lines.Text())
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, messages.String())
	}
	const want = `5050|postgres
postgres
postgres ssl-cert site
postgres:postgres 700
root:shadow 640
site:site 100000:70000 640
root:site 0:70000 750
site:site 100000:70000 700
a page of subuidless
`
	if got := printed.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s\n%s", got, want, messages.String())
	}
}

// pushDebian pushes an image whose only layer is the archive of a root file system of Debian.
func pushDebian(image, archive string) error {
	content, err := os.ReadFile(archive)
	if err != nil {
		return err
	}
	img, err := mutate.AppendLayers(empty.Image, static.NewLayer(content, types.OCIUncompressedLayer))
	if err != nil {
		return err
	}
	// Podman refuses a manifest of Docker with such a layer.
	img = mutate.ConfigMediaType(mutate.MediaType(img, types.OCIManifestSchema1), types.OCIConfigJSON)
	file, err := img.ConfigFile()
	if err != nil {
		return err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture = "linux", goarch()
	file.Config = v1.Config{Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, Cmd: []string{"bash"}}
	if img, err = mutate.ConfigFile(img, file); err != nil {
		return err
	}
	ref, err := name.ParseReference(image)
	if err != nil {
		return err
	}
	return remote.Write(ref, img)
}

// getPage returns the page of a web server with this socket, or the error.
func getPage(socket string) string {
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	defer client.CloseIdleConnections()
	answer, err := client.Get("http://servers/page")
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	page, err := io.ReadAll(answer.Body)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSuffix(string(page), "\n")
}
