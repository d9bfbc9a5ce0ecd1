package test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// TestImageMirrors pulls an image whose registry only registries.conf makes reachable: by
// mirrors that are down, incomplete, or without a certificate.
func TestImageMirrors(t *testing.T) {
	reg := startRegistry(t)
	img := imageOf(t, v1.Config{}, busyboxLayer(t), []entry{regular("file", "mirrored")})
	reg.push(t, "hub/app:1", img)
	backend, err := url.Parse("http://" + reg.host)
	if err != nil {
		t.Fatal(err)
	}
	// It has the manifest and the first layer only.
	missed := 0
	partial := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isBlob(t, r, img, 1) {
			missed++
			http.NotFound(w, r)
			return
		}
		httputil.NewSingleHostReverseProxy(backend).ServeHTTP(w, r)
	}))
	defer partial.Close()
	tls := httptest.NewUnstartedServer(httputil.NewSingleHostReverseProxy(backend))
	tls.Config.ErrorLog = log.New(io.Discard, "", 0)
	tls.StartTLS()
	defer tls.Close()

	config := t.TempDir()
	write := func(text string) {
		t.Helper()
		file := filepath.Join(config, "containers", "registries.conf")
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	pull := func(store string) (string, error) {
		t.Helper()
		cmd := command(t, "subuidless", "run", "-q", "--rm", store, "home.invalid/app:1", "cat", "/file")
		cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+config)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	mirror := func(location string, insecure bool) string {
		return fmt.Sprintf("[[registry.mirror]]\nlocation = %q\ninsecure = %v\n", location, insecure)
	}
	secure := strings.TrimPrefix(tls.URL, "https://") + "/hub"
	const home = "[[registry]]\nlocation = \"home.invalid\"\n"
	store := imageStore(t)

	write(home + mirror(secure, false))
	if out, err := pull(store); err == nil || !strings.Contains(out, "certificate") || !strings.Contains(out, "home.invalid") {
		t.Errorf("a mirror without a certificate: %v, %s", err, out)
	}
	write(home + mirror("127.0.0.1:1/hub", false) + mirror(strings.TrimPrefix(partial.URL, "http://")+"/hub", false) + mirror(secure, true))
	if out, err := pull(store); err != nil || out != "mirrored" {
		t.Errorf("with mirrors: %v, %s", err, out)
	}
	if missed == 0 {
		t.Error("the second mirror has not been asked for the second layer")
	}
	subuidless(t, "run", "--rm", "--pull=never", store, "home.invalid/app:1", "true") // it has this name

	write(home + "blocked = true\n" + mirror(secure, true))
	if out, err := pull(imageStore(t)); err == nil || !strings.Contains(out, "registries.conf blocks the registry home.invalid") {
		t.Errorf("a blocked registry: %v, %s", err, out)
	}
	// The location of the registry itself, which may lack a certificate.
	write(fmt.Sprintf("[[registry]]\nprefix = \"home.invalid\"\nlocation = %q\ninsecure = true\n", secure))
	if out, err := pull(imageStore(t)); err != nil || out != "mirrored" {
		t.Errorf("another location: %v, %s", err, out)
	}
	push := command(t, "subuidless", "push", "-q", store, "home.invalid/app:1", "home.invalid/app:2")
	push.Env = append(os.Environ(), "XDG_CONFIG_HOME="+config)
	if out, err := push.CombinedOutput(); err != nil {
		t.Errorf("push: %v\n%s", err, out)
	}
	subuidless(t, "pull", "-q", store, reg.host+"/hub/app:2")
}
