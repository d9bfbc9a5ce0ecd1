package test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// engineDocs are the pages whose commands are run: the name of the page, and what the commands
// require.
var engineDocs = map[string][]string{
	"podman":     {"podman", "slirp4netns", "tun"},
	"buildah":    {"buildah", "podman", "slirp4netns", "tun"},
	"containerd": {"cni", "containerd", "crictl", "crun", "newuidmap", "rootlesskit", "slirp4netns", "tun"},
	"docker":     {"docker", "dockerd", "newuidmap", "podman", "rootlesskit", "slirp4netns", "tun"},
}

// TestEngineDocs runs the commands on the pages in docs/engines as they stand there, those of a
// page in one shell. The registries that they name are on the loopback interface.
func TestEngineDocs(t *testing.T) {
	for name, requirements := range engineDocs {
		t.Run(name, func(t *testing.T) {
			needs(t, append(requirements, "busybox")...)
			e := newEngine(t)
			layer, err := baseLayer(false)
			if err != nil {
				t.Fatal(err)
			}
			var registries strings.Builder
			for image, command := range map[string][]string{"debian": {"sh"}, "nginx": {"httpd", "-f"}} {
				if err := pushImage(e.addr, "library/"+image, layer, command...); err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&registries, "[[registry]]\nprefix = \"docker.io/library/%s\"\nlocation = \"%s/library/%[1]s\"\ninsecure = true\n", image, e.addr)
			}
			e.configureContainerd(layer)
			e.configureDocker()
			registries.WriteString("[[registry]]\nlocation = \"registry.example.org\"\ninsecure = true\n")
			// Pushes go to the host that is named, through the proxy, which answers itself.
			e.env = append(e.env, "HTTP_PROXY=http://"+e.addr)
			e.configure("registries.conf", registries.String())
			dir := e.home("project")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM docker.io/library/debian\nRUN chown 33:33 /root\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			e.addAccount()
			cmd := e.command("sh", "-eux", "-c", pageCommands(t, "engines/"+name+".md"))
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// configureContainerd redirects docker.io and registry.k8s.io to the registry of e in the
// directory for hosts of docs/engines/containerd.md, configures crictl, and pushes the image of
// pods, with the given layer.
func (e *engine) configureContainerd(layer []byte) {
	e.t.Helper()
	if _, missing := unmet("containerd"); missing {
		return
	}
	config, err := exec.Command("containerd", "config", "default").Output()
	if err != nil {
		e.t.Fatal(err)
	}
	pause := regexp.MustCompile(`sandbox_image = "registry.k8s.io/(.*)"`).FindSubmatch(config)
	if pause == nil {
		e.t.Fatal("containerd config default names no image for pods")
	}
	if err := pushImage(e.addr, string(pause[1]), layer, "sleep", "1000"); err != nil {
		e.t.Fatal(err)
	}
	for _, host := range []string{"docker.io", "registry.k8s.io"} {
		dir := e.home("containerd", "certs.d", host)
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "hosts.toml"), fmt.Appendf(nil, "[host.\"http://%s\"]\n", e.addr), 0o644)); err != nil {
			e.t.Fatal(err)
		}
	}
	crictl := e.home(".crictl.yaml")
	if err := os.WriteFile(crictl, []byte(crictlConfig), 0o644); err != nil {
		e.t.Fatal(err)
	}
	e.env = append(e.env, "CRI_CONFIG_FILE="+crictl)
}
