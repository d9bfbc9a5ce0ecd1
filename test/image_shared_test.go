package test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// TestBuildSharedHome builds from several PID and mount namespaces at once in one store, as the
// nodes of a cluster do in a home directory on NFS: by copies, because that cannot be a layer of
// overlayfs. Others are killed meanwhile, and unused files are removed.
func TestBuildSharedHome(t *testing.T) {
	b := newBuildDir(t, map[string]string{"a": "1", "Dockerfile": `FROM localhost/base
COPY --chown=33:44 a /a
RUN --mount=type=cache,target=/c echo x >> /c/all && chown 5:6 /srv
ARG NODE
RUN echo $NODE > /node && chown 7:8 /node
`})
	b.env = append(b.env, "STORAGE_DRIVER=copy")
	onNode := func(node int) *exec.Cmd {
		inner := b.command("-q", "--build-arg", fmt.Sprint("NODE=", node), "-t", fmt.Sprint("node", node), ".")
		cmd := command(t, append([]string{"unshare", "-r", "--pid", "--fork", "--kill-child", "--mount-proc"}, inner.Args...)...)
		cmd.Dir, cmd.Env = inner.Dir, inner.Env
		return cmd
	}
	const nodes = 3
	var all sync.WaitGroup
	for node := range nodes {
		all.Go(func() {
			killed := onNode(node)
			if err := killed.Start(); err != nil {
				t.Error(err)
				return
			}
			time.Sleep(time.Duration(node) * 100 * time.Millisecond) // somewhere in the build, or after it
			_ = killed.Process.Kill()
			_ = killed.Wait()
			if out, err := onNode(node).CombinedOutput(); err != nil {
				t.Errorf("node %d: %v\n%s", node, err, out)
			}
		})
	}
	all.Go(func() {
		for range 3 {
			if out, err := command(t, "subuidless", "prune", "-f", b.store).CombinedOutput(); err != nil {
				t.Errorf("prune: %v\n%s", err, out)
			}
		}
	})
	all.Wait()
	subuidless(t, "store", "check", b.store)
	for node := range nodes {
		cmd := command(t, "subuidless", "run", "--rm", b.store, fmt.Sprint("node", node), "sh", "-c", "stat -c '%u:%g %n' /a /srv /node; cat /node")
		cmd.Env = append(os.Environ(), "STORAGE_DRIVER=copy")
		out, err := cmd.Output()
		if want := fmt.Sprintf("33:44 /a\n5:6 /srv\n7:8 /node\n%d\n", node); err != nil || !bytes.Equal(out, []byte(want)) {
			t.Errorf("node %d: %v %q, want %q", node, err, out, want)
		}
	}
	subuidless(t, "prune", "-f", b.store)
	if left, err := filepath.Glob(filepath.Join(b.store[len("--root="):], "tmp", "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}
