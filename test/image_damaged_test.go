package test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// TestImageDamaged damages one of two images and one of two containers. Lists have the others and say which
// one is damaged, prune keeps what it may need, and rmi and rm --force remove it.
func TestImageDamaged(t *testing.T) {
	needs(t, "busybox")
	reg := startRegistry(t)
	whole := reg.push(t, "whole", imageOf(t, v1.Config{}, busyboxLayer(t)))
	broken := reg.push(t, "broken", imageOf(t, v1.Config{}, busyboxLayer(t), []entry{regular("more", "x")}))
	store := imageStore(t)
	dir := strings.TrimPrefix(store, "--root=")
	id := strings.TrimSpace(subuidless(t, "pull", "-q", store, broken))
	subuidless(t, "pull", "-q", store, whole)
	removed := strings.TrimSpace(subuidless(t, "create", store, whole, "true"))
	subuidless(t, "create", store, "--name=kept", whole, "true")

	blob := filepath.Join(dir, "blobs", "sha256", id)
	if err := os.WriteFile(blob, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "containers", removed, "config.json")
	if err := os.Truncate(config, 100); err != nil {
		t.Fatal(err)
	}
	imageCause := []string{"image " + broken + " is damaged: " + blob, "rmi " + broken}
	containerCause := []string{"container " + removed[:12] + " is damaged: " + config, "rm -f " + removed[:12]}

	out := subuidless(t, "images", store)
	wantText(t, "images", out, append(imageCause, "/whole ")...)
	wantText(t, "ps", subuidless(t, "ps", "-a", store), append(containerCause, "kept")...)
	wantText(t, "store check", fails(t, "store", "check", store), "blob "+id, "image "+broken, "container "+removed[:12], "rm -f "+removed[:12], "3 problems")
	out = subuidless(t, "prune", "-f", store)
	wantText(t, "prune", out, append(append(imageCause, containerCause...), "Deleted container: ")...)
	wantText(t, "inspect", fails(t, "inspect", store, id[:12]), imageCause...)
	wantText(t, "run", fails(t, "run", "--rm", store, broken, "true"), imageCause...)
	wantText(t, "start", fails(t, "start", store, removed[:12]), containerCause...)
	wantText(t, "exec", fails(t, "exec", store, removed[:12], "true"), containerCause...)
	wantText(t, "rm", fails(t, "rm", store, removed[:12]), containerCause...)
	if out := subuidless(t, "run", "--rm", store, whole, "echo", "runs"); out != "runs\n" {
		t.Errorf("run of the other image: %s", out)
	}

	if out := subuidless(t, "rm", "-f", store, removed[:12]); out != removed[:12]+"\n" {
		t.Errorf("rm -f: %s", out)
	}
	// One whose lock is lost may run.
	subuidless(t, "run", "-d", store, "--name=lost", whole, "sleep", "1000")
	lost := inspectField(t, store, "lost", ".Id")
	if err := os.Remove(filepath.Join(dir, "containers", lost, "lock")); err != nil {
		t.Fatal(err)
	}
	cause := []string{"container " + lost[:12] + " is damaged: ", "/lock is missing", "rm -f " + lost[:12]}
	wantText(t, "ps", subuidless(t, "ps", "-a", store), cause...)
	wantText(t, "start", fails(t, "start", store, lost), cause...)
	wantText(t, "store check", fails(t, "store", "check", store), append(cause[1:], "container "+lost[:12])...)
	if out := subuidless(t, "rm", "-f", store, lost[:12]); out != lost[:12]+"\n" {
		t.Errorf("rm -f: %s", out)
	}
	if _, err := os.Stat(filepath.Join(dir, "containers", lost)); !os.IsNotExist(err) {
		t.Errorf("the container without a lock is still there: %v", err)
	}
	wantText(t, "rmi", subuidless(t, "rmi", store, broken), "Untagged: "+broken, "Deleted: sha256:"+id)
	if out := subuidless(t, "store", "check", store) + subuidless(t, "prune", "-f", store); strings.Contains(out, "damaged") {
		t.Errorf("afterwards: %s", out)
	}
	subuidless(t, "pull", "-q", store, broken)
	if out := subuidless(t, "run", "--rm", store, broken, "cat", "/more"); out != "x" {
		t.Errorf("pulled again: %q", out)
	}
}
