package test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// TestImageCopies saves, loads and pushes an image in every format, and compares what comes
// back.
func TestImageCopies(t *testing.T) {
	reg := startRegistry(t)
	entries := ownerEntries()
	image := reg.push(t, "copies:1", imageOf(t, v1.Config{}, busyboxLayer(t), entries))
	store, dir := imageStore(t), t.TempDir()
	id := strings.TrimSpace(subuidless(t, "pull", "-q", store, image))
	for _, format := range []string{"docker-archive", "oci-archive", "oci-dir", "docker-dir"} {
		t.Run(format, func(t *testing.T) {
			other, path := imageStore(t), filepath.Join(dir, format)
			subuidless(t, "save", store, "--format", format, "-o", path, image)
			wanted := image
			if format == "docker-dir" {
				wanted = strings.TrimSpace(subuidless(t, "pull", "-q", other, "dir:"+path))
			} else if out := subuidless(t, "load", other, "-i", path); !strings.Contains(out, "Loaded image: "+image) {
				t.Errorf("load: %s", out)
			}
			if got := subuidless(t, "images", "-q", "--no-trunc", other); got != "sha256:"+id+"\n" {
				t.Errorf("the id is %q, want %s", got, id)
			}
			out := subuidless(t, "run", "--rm", other, wanted, "find", "/o", "-exec", "stat", "-c", statFormat, "{}", "+")
			diffLines(t, format, sortedLines(out), wantStat(entries))
		})
	}
	for transport, want := range map[string]string{"docker-archive:": "", "oci-archive:": "", "oci:": "-dir"} {
		other := imageStore(t)
		format := strings.TrimSuffix(transport, ":") + want
		if got := strings.TrimSpace(subuidless(t, "pull", "-q", other, transport+filepath.Join(dir, format))); got != id {
			t.Errorf("pull %s: the id is %s, want %s", transport, got, id)
		}
	}

	pushed := reg.host + "/pushed/to:2"
	digest := strings.TrimSpace(subuidless(t, "push", "-q", store, image, pushed))
	ref, err := name.ParseReference(pushed)
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(ref)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := img.Digest(); err != nil || got.String() != digest {
		t.Errorf("the digest of what was pushed is %s (%v), push printed %s", got, err, digest)
	}
	if err := validate.Image(img); err != nil {
		t.Error(err)
	}
	needs(t, "umoci")
	layout := filepath.Join(dir, "layout")
	subuidless(t, "push", store, image, "oci:"+layout+":tag")
	if out, err := exec.Command("umoci", "stat", "--image", layout+":tag").CombinedOutput(); err != nil {
		t.Errorf("umoci: %v\n%s", err, out)
	}
}

// TestImageNames tags, retags and removes.
func TestImageNames(t *testing.T) {
	reg := startRegistry(t)
	first := imageOf(t, v1.Config{}, []entry{regular("a", "1")})
	second := imageOf(t, v1.Config{}, []entry{regular("a", "1")}, []entry{regular("b", "2")})
	image := reg.push(t, "names:1", first)
	store := imageStore(t)
	id := strings.TrimSpace(subuidless(t, "pull", "-q", store, image))
	subuidless(t, "tag", store, image, "mine", "other/x:y")
	if out := subuidless(t, "images", store, "mine"); !strings.Contains(out, "docker.io/library/mine   latest   "+id[:12]) {
		t.Errorf("images mine: %s", out)
	}
	if out := fails(t, "rmi", store, id[:8]); !strings.Contains(out, "several names") {
		t.Errorf("rmi by id: %s", out)
	}
	subuidless(t, "rmi", store, "mine", "other/x:y")
	reg.push(t, "names:1", second)
	subuidless(t, "pull", "-q", store, image)
	if out := subuidless(t, "images", store); !strings.Contains(out, "names   <none>   "+id[:12]) || strings.Count(out, "\n") != 3 {
		t.Errorf("after another image got the name: %s", out)
	}
	digest, err := second.Digest()
	if err != nil {
		t.Fatal(err)
	}
	repository := strings.TrimSuffix(image, ":1")
	subuidless(t, "inspect", store, repository+"@"+digest.String())
	if out := subuidless(t, "history", store, image); strings.Count(out, "\n") != 3 {
		t.Errorf("history: %s", out)
	}
	if out := subuidless(t, "history", store, "--no-trunc", "--human=false", "--format={{len .ID}} {{.Size}}", image); !regexp.MustCompile(`(?m)^64 [0-9]+$`).MatchString(out) {
		t.Errorf("history --format: %s", out)
	}
	if out := subuidless(t, "prune", "-f", store); !strings.Contains(out, "Deleted image: sha256:"+id) {
		t.Errorf("prune: %s", out)
	}
	subuidless(t, "pull", "-q", store, repository+"@"+digest.String())
	subuidless(t, "rmi", "-a", store)
	if out := subuidless(t, "images", "-q", store); out != "" {
		t.Errorf("after rmi -a: %s", out)
	}
	if out := fails(t, "run", "--pull=never", store, image, "true"); !strings.Contains(out, "not found in the store") {
		t.Errorf("run --pull=never: %s", out)
	}
}

// TestImagePlatform chooses from an index.
func TestImagePlatform(t *testing.T) {
	reg := startRegistry(t)
	index := v1.ImageIndex(empty.Index)
	for _, platform := range []v1.Platform{{OS: "linux", Architecture: "s390x"}, {OS: "linux", Architecture: "arm", Variant: "v7"}, {OS: "linux", Architecture: runtime.GOARCH}} {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        imageOf(t, v1.Config{Labels: map[string]string{"for": platform.String()}}, busyboxLayer(t)),
			Descriptor: v1.Descriptor{Platform: &platform},
		})
	}
	ref, err := name.ParseReference(reg.host + "/index")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(ref, index); err != nil {
		t.Fatal(err)
	}
	store := imageStore(t)
	for flag, want := range map[string]string{"": "linux/" + runtime.GOARCH, "linux/s390x": "linux/s390x", "linux/arm": "linux/arm/v7"} {
		subuidless(t, "pull", "-q", store, "--platform="+flag, ref.Name())
		if got := subuidless(t, "inspect", store, "-f", `{{index .Config.Labels "for"}}`, ref.Name()); got != want+"\n" {
			t.Errorf("--platform=%s chooses %q, want %s", flag, got, want)
		}
	}
	if out := fails(t, "pull", store, "--platform=linux/riscv64", ref.Name()); !strings.Contains(out, "linux/s390x") {
		t.Errorf("a platform that the image is not for: %s", out)
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	subuidless(t, "pull", "-q", store, ref.Name())
	subuidless(t, "inspect", store, ref.Context().Name()+"@"+digest.String())
}

// TestImageLogin logs in to a registry that wants a password.
func TestImageLogin(t *testing.T) {
	reg := startRegistry(t)
	image := reg.push(t, "secret", imageOf(t, v1.Config{}, []entry{regular("a", "1")}))
	reg.handle = func(w http.ResponseWriter, r *http.Request) bool {
		if user, password, ok := r.BasicAuth(); ok && user == "me" && password == "pass word" {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
	store, auth := imageStore(t), filepath.Join(t.TempDir(), "auth.json")
	login := func(password string) (string, error) {
		cmd := command(t, "subuidless", "login", "--authfile", auth, "-u", "me", "--password-stdin", reg.host)
		cmd.Stdin = strings.NewReader(password + "\n")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := login("wrong"); err == nil || !strings.Contains(out, "password is wrong") {
		t.Errorf("a wrong password: %v, %s", err, out)
	}
	if out, err := login("pass word"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if st, err := os.Stat(auth); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the file with the password: %v, %v", st, err)
	}
	fails(t, "pull", store, image)
	subuidless(t, "pull", "-q", store, "--authfile", auth, image)
	subuidless(t, "push", "-q", store, "--authfile", auth, image)
	var stored struct{ Auths map[string]any }
	if err := readJSON(auth, &stored); err != nil || len(stored.Auths) != 1 {
		t.Errorf("%+v, %v", stored, err)
	}
	subuidless(t, "logout", "--authfile", auth, reg.host)
	fails(t, "pull", store, "--authfile", auth, image)

	// The credentials of podman, and a helper of docker.
	home := t.TempDir()
	b, err := json.Marshal(map[string]any{"auths": map[string]any{reg.host: map[string]string{"auth": "bWU6cGFzcyB3b3Jk"}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"run/containers/auth.json": string(b),
		"docker/config.json":       fmt.Sprintf(`{"credHelpers":{%q:"test"}}`, reg.host),
		"bin/docker-credential-test": `#!/bin/sh
echo '{"Username":"me","Secret":"pass word"}'`,
	} {
		name = filepath.Join(home, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, env := range []string{"XDG_RUNTIME_DIR=" + home + "/run", "DOCKER_CONFIG=" + home + "/docker"} {
		cmd := command(t, "subuidless", "pull", "-q", store, image)
		cmd.Env = append(os.Environ(), env, "PATH="+os.Getenv("PATH")+":"+home+"/bin")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("with %s: %v\n%s", env, err, out)
		}
	}
}

// TestPullAllTags pulls all tags of a repository.
func TestPullAllTags(t *testing.T) {
	reg := startRegistry(t)
	var want []string
	for _, tag := range []string{"1", "2", "latest"} {
		want = append(want, reg.push(t, "tags:"+tag, imageOf(t, v1.Config{Labels: map[string]string{"tag": tag}}, []entry{regular("x", "x")})))
	}
	store := imageStore(t)
	if out := subuidless(t, "pull", "-q", "--all-tags", store, reg.host+"/tags"); strings.Count(out, "\n") != len(want) {
		t.Errorf("pull: %q", out)
	}
	got := strings.Fields(subuidless(t, "images", store, "--format", "{{.Repository}}:{{.Tag}}"))
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("the images are %q, want %q", got, want)
	}
	for arg, message := range map[string]string{
		reg.host + "/tags:1": "without a tag", reg.host + "/none": "not found in its registry", "oci:" + t.TempDir(): "must be the name of a repository",
	} {
		wantText(t, arg, fails(t, "pull", "-q", "-a", store, arg), message)
	}
}

// TestPruneFilters removes only what fits.
func TestPruneFilters(t *testing.T) {
	store := backgroundStore(t, v1.Config{})
	for _, label := range []string{"a=1", "a=2", "b"} {
		subuidless(t, "create", store, "--name="+strings.ReplaceAll(label, "=", ""), "--label="+label, "box", "true")
		subuidless(t, "volume", "create", store, "--label="+label, "v"+strings.ReplaceAll(label, "=", ""))
	}
	left := func() string {
		return strings.Join(append(strings.Fields(subuidless(t, "ps", store, "-a", "--format", "{{.Names}}")), strings.Fields(subuidless(t, "volume", "ls", store, "-q"))...), " ")
	}
	for _, tt := range []struct{ args, left string }{
		{"prune -f --filter until=24h", "b a2 a1 va1 va2 vb"},
		{"prune -f --filter label=a=2", "b a1 va1 va2 vb"},
		{"volume prune -f --filter label=a=1", "b a1 va2 vb"},
		{"prune -f --volumes --filter label!=b --filter label!=a=1", "b a1 vb"},
		{"prune -f --filter until=0s --filter label=b", "a1 vb"},
	} {
		subuidless(t, append(strings.Fields(tt.args), store)...)
		if got := left(); got != tt.left {
			t.Errorf("%s leaves %s, want %s", tt.args, got, tt.left)
		}
	}
	if subuidless(t, "prune", "-f", "--all", "--filter=label=nothing", store); subuidless(t, "images", "-q", store) == "" {
		t.Error("the image has been removed")
	}
	for args, message := range map[string]string{
		"prune -f --filter nothing=1":                "must be label!=VALUE, or KEY=VALUE with the KEY until or label",
		"prune -f --filter until=soon":               `"soon" is not a time`,
		"prune -f --volumes --filter until=1h":       "exclude each other",
		"volume prune -f --filter until!=2001-01-01": "or KEY=VALUE with the KEY label",
	} {
		wantText(t, args, fails(t, append(strings.Fields(args), store)...), message)
	}
}
