package reference

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	digest := "sha256:" + strings.Repeat("ab", 32)
	aliases := Aliases{"fedora": "registry.fedoraproject.org/fedora", "me/tool": "ghcr.io/me/tool"}
	for text, want := range map[string]Reference{
		"alpine":                        {Transport: Registry, Name: "docker.io/library/alpine:latest"},
		"alpine:3.20":                   {Transport: Registry, Name: "docker.io/library/alpine:3.20"},
		"me/app":                        {Transport: Registry, Name: "docker.io/me/app:latest"},
		"docker.io/library/postgres:17": {Transport: Registry, Name: "docker.io/library/postgres:17"},
		"docker.io/alpine":              {Transport: Registry, Name: "docker.io/library/alpine:latest"},
		"index.docker.io/me/x":          {Transport: Registry, Name: "docker.io/me/x:latest"},
		"docker://alpine":               {Transport: Registry, Name: "docker.io/library/alpine:latest"},
		"ghcr.io/x/y@" + digest:         {Transport: Registry, Name: "ghcr.io/x/y@" + digest},
		"ghcr.io/x/y:1@" + digest:       {Transport: Registry, Name: "ghcr.io/x/y@" + digest},
		"localhost:5000/x":              {Transport: Registry, Name: "localhost:5000/x:latest"},
		"127.0.0.1:5000/a/b/c:t":        {Transport: Registry, Name: "127.0.0.1:5000/a/b/c:t"},
		"fedora":                        {Transport: Registry, Name: "registry.fedoraproject.org/fedora:latest"},
		"fedora:41":                     {Transport: Registry, Name: "registry.fedoraproject.org/fedora:41"},
		"me/tool@" + digest:             {Transport: Registry, Name: "ghcr.io/me/tool@" + digest},
		"docker.io/library/fedora":      {Transport: Registry, Name: "docker.io/library/fedora:latest"},
		"oci:dir":                       {Transport: Layout, Path: "dir"},
		"oci:/a/dir:tag":                {Transport: Layout, Path: "/a/dir", Tag: "tag"},
		"oci-archive:x.tar":             {Transport: LayoutArchive, Path: "x.tar"},
		"docker-archive:x.tar:busy:1":   {Transport: DockerArchive, Path: "x.tar", Tag: "busy:1"},
		"dir:a:b":                       {Transport: Directory, Path: "a:b"},
		"oci":                           {Transport: Registry, Name: "docker.io/library/oci:latest"},
	} {
		got, err := Parse(text, aliases)
		if err != nil || got != want {
			t.Errorf("Parse(%q) = %+v, %v; want %+v", text, got, err, want)
		}
		again, err := Parse(got.String(), nil)
		if err != nil || again != got {
			t.Errorf("Parse(%q).String() = %q, which is %+v, %v", text, got, again, err)
		}
	}
	for _, text := range []string{"", "UPPER", "a b", "x@sha256:12", "oci:", "dir:", "http://x/y"} {
		if got, err := Parse(text, aliases); err == nil {
			t.Errorf("Parse(%q) = %+v, want an error", text, got)
		}
	}
}

func TestRepository(t *testing.T) {
	for full, want := range map[string]string{
		"docker.io/library/x:1": "docker.io/library/x", "localhost:5000/x": "localhost:5000/x",
		"localhost:5000/x:1": "localhost:5000/x", "a/b@sha256:00": "a/b", "x": "x",
	} {
		if got := Repository(full); got != want {
			t.Errorf("Repository(%q) = %q, want %q", full, got, want)
		}
	}
}

func TestReadRegistries(t *testing.T) {
	etc, config := t.TempDir(), t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	none, err := ReadRegistries(etc, config)
	if err != nil || len(none.Aliases) != 0 {
		t.Fatalf("without files: %+v, %v", none, err)
	}
	write(filepath.Join(etc, "containers/registries.conf"), "unqualified-search-registries = [\"x\"]\n[[registry]]\nlocation = \"reg.example:5000\"\ninsecure = true\n")
	write(filepath.Join(etc, "containers/registries.conf.d/000-short.conf"), "[aliases]\n\"fedora\" = \"registry.fedoraproject.org/fedora\"\n\"gone\" = \"a.example/gone\"\n")
	write(filepath.Join(config, "containers/registries.conf"), "[aliases]\n\"fedora\" = \"mirror.example/fedora\"\n\"gone\" = \"\"\n")
	r, err := ReadRegistries(etc, config)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Aliases) != 1 || r.Aliases["fedora"] != "mirror.example/fedora" {
		t.Errorf("aliases: %v", r.Aliases)
	}
	for full, want := range map[string]bool{"reg.example:5000/x:1": true, "reg.example:50001/x": false, "reg.example/x": false} {
		if home, err := r.Home(full); err != nil || home.Insecure != want || home.Name != full {
			t.Errorf("Home(%q) = %+v, %v", full, home, err)
		}
	}
	write(filepath.Join(config, "containers/registries.conf"), "[aliases\n")
	if _, err := ReadRegistries(etc, config); err == nil || !strings.Contains(err.Error(), "registries.conf") {
		t.Errorf("a malformed file: %v", err)
	}
}

func TestEndpoints(t *testing.T) {
	etc := t.TempDir()
	file := filepath.Join(etc, "containers/registries.conf")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	const text = `
[[registry]]
location = "docker.io"
[[registry.mirror]]
location = "mirror.example:5000/hub"
insecure = true
[[registry.mirror]]
location = "digests.example"
pull-from-mirror = "digest-only"
[[registry.mirror]]
location = "tags.example"
pull-from-mirror = "tag-only"

[[registry]]
prefix = "docker.io/own"
location = "own.example/x"
mirror-by-digest-only = true
[[registry.mirror]]
location = "mirror.example/own"

[[registry]]
prefix = "*.wild.example"
insecure = true

[[registry]]
location = "evil.example"
blocked = true

[[registry]]
location = "replaced.example"
blocked = true
[[registry]]
location = "replaced.example"
`
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := ReadRegistries(etc, os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	for full, want := range map[string][]Endpoint{
		"docker.io/library/x:1": {
			{"mirror.example:5000/hub/library/x:1", true}, {"tags.example/library/x:1", false}, {"docker.io/library/x:1", false},
		},
		"docker.io/library/x@sha256:0": {
			{"mirror.example:5000/hub/library/x@sha256:0", true}, {"digests.example/library/x@sha256:0", false}, {"docker.io/library/x@sha256:0", false},
		},
		"docker.io/own/x:1":        {{"own.example/x/x:1", false}},
		"docker.io/own/x@sha256:0": {{"mirror.example/own/x@sha256:0", false}, {"own.example/x/x@sha256:0", false}},
		"docker.io/owner/x:1": {
			{"mirror.example:5000/hub/owner/x:1", true}, {"tags.example/owner/x:1", false}, {"docker.io/owner/x:1", false},
		},
		"a.b.wild.example:99/x:1": {{"a.b.wild.example:99/x:1", true}},
		"wild.example/x:1":        {{"wild.example/x:1", false}},
		"replaced.example/x:1":    {{"replaced.example/x:1", false}},
		"other.example/x:1":       {{"other.example/x:1", false}},
		"evil.example/x:1":        nil, // an error
	} {
		got, err := r.Endpoints(full)
		if !slices.Equal(got, want) || (err == nil) != (want != nil) {
			t.Errorf("Endpoints(%q) = %+v, %v; want %+v", full, got, err, want)
		}
	}
	var none *Registries
	if got, err := none.Endpoints("x/y:1"); err != nil || !slices.Equal(got, []Endpoint{{Name: "x/y:1"}}) {
		t.Errorf("without files: %+v, %v", got, err)
	}
	if err := os.WriteFile(file, []byte("[[registry]]\ninsecure = true\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadRegistries(etc, os.DevNull); err == nil {
		t.Error("a table without a prefix and a location: no error")
	}
}
