package test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// TestManagement uses docker's and podman's further names of commands, as scripts do.
func TestManagement(t *testing.T) {
	store := backgroundStore(t, v1.Config{Labels: map[string]string{"org.example.from": "image"}})
	status := func(args ...string) int {
		out, errs, status := outputs(t, args...)
		if status != 0 && out+errs != "" {
			t.Errorf("%q: %s%s", args, out, errs)
		}
		return status
	}
	subuidless(t, "container", "run", "-d", store, "--name=web", "box", "sleep", "1000")
	if out := subuidless(t, "container", "exec", store, "web", "echo", "in it"); out != "in it\n" {
		t.Errorf("container exec: %q", out)
	}
	for _, tt := range []struct {
		args string
		want int
	}{
		{"container exists web", 0}, {"container exists box", 1}, {"image exists box", 0}, {"image exists web", 1},
		{"rm -f web nothing", 0}, {"container exists web", 1}, {"rmi -f localhost/nothing", 0}, {"volume rm -f nothing", 0},
	} {
		if got := status(append(strings.Fields(tt.args), store)...); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.args, got, tt.want)
		}
	}
	id := strings.TrimSpace(subuidless(t, "container", "create", store, "box", "true"))
	subuidless(t, "tag", store, "box", "web") // the name of an image, and of no container
	wantText(t, "container inspect", fails(t, "container", "inspect", store, "web"), `container "web": not found`)
	if out := subuidless(t, "image", "inspect", store, "-f", "{{.Os}}", "web"); out != "linux\n" {
		t.Errorf("image inspect: %q", out)
	}
	if out := subuidless(t, "container", "ls", "-a", store, "--format", `table {{.ID}}\t{{.Label "org.example.from"}}`); out != "CONTAINER ID   FROM\n"+id[:12]+"   image\n" {
		t.Errorf("container ls: %q", out)
	}
	wantText(t, "image rm", subuidless(t, "image", "rm", store, "web"), "Untagged: docker.io/library/web:latest")
	if out := subuidless(t, "image", "prune", "-af", store); strings.Contains(out, "Deleted") {
		t.Errorf("image prune removes what a container needs, or containers: %s", out)
	}
	wantText(t, "container prune", subuidless(t, "container", "prune", "-f", store), "Deleted container: "+id)
	if out := subuidless(t, "image", "ls", "-q", store); out == "" {
		t.Error("container prune has removed images")
	}
	wantText(t, "image prune", subuidless(t, "image", "prune", "-af", store), "Deleted image: docker.io/library/box:latest")
	wantText(t, "help", subuidless(t, "image", "--help"), "history, inspect, list (images),")
	wantText(t, "an unknown name", fails(t, "system", "nonsense"), `unknown command "nonsense"`)

	name := strings.TrimSpace(subuidless(t, "volume", "create", store, "-l", "k=v"))
	if out := subuidless(t, "volume", "ls", store); out != "DRIVER   VOLUME NAME\nlocal    "+name+"\n" {
		t.Errorf("volume ls: %q", out)
	}
	if out := subuidless(t, "volume", "ls", store, "--format={{.Name}} {{.Labels.k}}") + subuidless(t, "volume", "ls", "-q", store); out != name+" v\n"+name+"\n" {
		t.Errorf("volume ls --format and -q: %q", out)
	}
}

// TestInspectFields has the fields of docker inspect that scripts use.
func TestInspectFields(t *testing.T) {
	store := backgroundStore(t, v1.Config{Labels: map[string]string{"a": "b"}})
	subuidless(t, "run", store, "--name=c", "box", "touch", "/made")
	const format = `{{.NetworkSettings.IPAddress}}{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}{{.RestartCount}} {{.GraphDriver.Name}}`
	if out := subuidless(t, "inspect", store, "-f", format, "c"); out != "0 "+inspectField(t, store, "c", ".Driver")+"\n" {
		t.Errorf("inspect: %q", out)
	}
	if inspectField(t, store, "c", ".Driver") == "overlay" {
		dirs := strings.Fields(inspectField(t, store, "c", ".GraphDriver.Data.UpperDir") + " " + strings.ReplaceAll(inspectField(t, store, "c", ".GraphDriver.Data.LowerDir"), ":", " "))
		for i, file := range []string{"made", "bin/busybox"} {
			if _, err := os.Stat(filepath.Join(dirs[i], file)); err != nil {
				t.Error(err)
			}
		}
	}
	out, errs, status := outputs(t, "inspect", store, "nothing", "-f", "{{.Id}}", "c") // what is found is shown
	if len(out) != 65 || !strings.Contains(errs, "image nothing: not found") || status != 1 {
		t.Errorf("inspect of one that does not exist: %q, %q, %d", out, errs, status)
	}
	wantText(t, "no arguments", fails(t, "build"), "received 0; usage: subuidless build [flags] CONTEXT")
	if out := subuidless(t, "inspect", store, "-f", "{{.Labels.a}} {{eq .Size .VirtualSize}} {{.Comment}}", "box"); out != "b true \n" {
		t.Errorf("inspect of an image: %q", out)
	}
}
