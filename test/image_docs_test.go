package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/rootless-containers/subuidless/internal/image/layer"
)

// TestContainerDocs runs the commands of docs/containers.md in one shell, with a small image
// called debian.
func TestContainerDocs(t *testing.T) {
	commands := pageCommands(t, "containers.md")
	reg := startRegistry(t)
	image := reg.push(t, "debian", imageOf(t, v1.Config{Cmd: []string{"sh"}}, busyboxLayer(t)))
	home := t.TempDir()
	t.Cleanup(func() {
		if err := layer.RemoveAll(home); err != nil {
			t.Error(err)
		}
	})
	env := append(os.Environ(), "XDG_DATA_HOME="+home)
	for _, args := range [][]string{{"pull", "-q", image}, {"tag", image, "debian"}} {
		cmd := command(t, append([]string{"subuidless"}, args...)...)
		cmd.Env = env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	cmd := command(t, "sh", "-eux", "-c", commands+"test -z \"$(subuidless ps -aq)\"\nsubuidless run --rm demo:2\n")
	cmd.Env, cmd.Dir = env, t.TempDir()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
		clean := exec.Command("subuidless", "rm", "-f", "web")
		clean.Env = env
		_ = clean.Run() // it may be gone
	} else if !strings.HasSuffix(string(out), "uid=0(root) gid=0(root)\n") {
		t.Errorf("the image that was committed printed:\n%s", out)
	}
	if _, err := os.Stat(filepath.Join(cmd.Dir, "passwd")); err != nil {
		t.Error(err)
	}
}
