package test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBuild builds images with podman and buildah, and compares what they push with what real
// root's buildah has pushed.
func TestBuild(t *testing.T) {
	for _, name := range []string{"podman", "buildah"} {
		t.Run(name, func(t *testing.T) {
			needs(t, "busybox", name, "root")
			e := newEngine(t)
			for image, target := range engineBuilds {
				full := e.addr + "/" + image
				e.run(append(append([]string{name}, buildArgs(e.addr, target, full)...), ".")...)
				e.run(name, "push", "-q", full)
				got, err := addedFiles(e.addr, image)
				if err != nil {
					t.Fatal(err)
				}
				expected := work("expected", "engines", image)
				if want, err := os.ReadFile(expected); err != nil {
					t.Fatal(err)
				} else if got != string(want) {
					t.Errorf("%s differs from the image of real root:\n%s", image, unifiedDiff(t, expected, []byte(got)))
				}
			}
		})
	}
}

// TestCommit changes a container with one command and commits it with another.
func TestCommit(t *testing.T) {
	needs(t, "buildah", "busybox", "podman")
	e := newEngine(t)
	e.run("podman", "run", "--name", "box", "--network=none", e.base(), "sh", "-c", modifyOwned)
	e.run("podman", "commit", "-q", "box", e.addr+"/podman")
	e.run("podman", "push", "-q", e.addr+"/podman")

	box := strings.TrimSpace(e.run("buildah", "from", e.base()))
	e.run("buildah", "run", "--network=none", box, "sh", "-c", modifyOwned)
	mounted := strings.TrimSpace(e.run("buildah", "mount", box))
	e.expect("7:8\n", "session", "exec", "--", "stat", "-c", "%u:%g", filepath.Join(mounted, "owned", "33"))
	e.run("buildah", "umount", box)
	e.run("buildah", "commit", "-q", box, e.addr+"/buildah")
	e.run("buildah", "push", "-q", e.addr+"/buildah")

	want := "layer 1\netc/ 5 755 0:0 \"\" 0 []\n" + modifiedOwned
	for _, image := range []string{"podman", "buildah"} {
		got, err := addedFiles(e.addr, image)
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("the commit of %s differs: %s", image, diff([]byte(want), []byte(got)))
		}
	}
	// On another machine's storage.
	e.run("podman", "rm", "box")
	e.run("buildah", "rm", box)
	e.run("podman", "rmi", "--all", "--force")
	e.expect("7:8 9:10 11:12 13:14\n", "podman", "run", "--rm", "--network=none", e.addr+"/podman", "sh", "-c", "cd /owned; echo $(stat -c %u:%g 33 link fifo new)")
}
