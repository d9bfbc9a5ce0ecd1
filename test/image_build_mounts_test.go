package test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestBuildURL adds files of a server.
func TestBuildURL(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/none") {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Last-Modified", "Sat, 01 Jan 2000 00:00:00 GMT")
		fmt.Fprint(w, "content")
	}))
	defer server.Close()
	const sum = "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73"
	b := newBuildDir(t, map[string]string{"Dockerfile": "FROM localhost/base\nARG URL\nADD $URL/f?x=1 /dir/\nADD --checksum=sha256:" + sum + " --chown=3:4 --chmod=755 $URL/f /g\n"})
	id, _ := b.build("--build-arg=URL="+server.URL, ".")
	if out := b.run(id, "cat /g; stat -c ' %a %u:%g %Y' /dir/f /g"); out != "content 600 0:0 946684800\n 755 3:4 946684800\n" {
		t.Errorf("files: %q", out)
	}
	b.write(map[string]string{"Dockerfile": "FROM localhost/base\nARG URL\nADD --checksum=sha256:" + strings.Repeat("0", 64) + " $URL/f /f\n"})
	wantText(t, "checksum", b.fails("--build-arg=URL="+server.URL, "."), "Dockerfile:3:", "its checksum is sha256:"+sum)
	b.write(map[string]string{"Dockerfile": "FROM localhost/base\nARG URL\nADD $URL/none /f\n"})
	wantText(t, "404", b.fails("--build-arg=URL="+server.URL, "."), "Dockerfile:3:", "404 Not Found")
	b.clean()
}

// TestBuildMounts uses caches, secrets and agents.
func TestBuildMounts(t *testing.T) {
	b := newBuildDir(t, map[string]string{"secret": "s3cret", "Dockerfile": `FROM localhost/base
RUN --mount=type=cache,target=/cache,uid=33,gid=34,mode=0750 stat -c '%a %u:%g' /cache > /one; echo x >> /cache/count
RUN --mount=type=secret,id=file,uid=5,gid=6,mode=0440 stat -c '%a %u:%g' /run/secrets/file > /two && test $(wc -c < /run/secrets/file) = 6
RUN --mount=type=secret,id=variable,env=TOKEN test "$TOKEN" = value && ! test -e /run/secrets
RUN --mount=type=ssh echo $SSH_AUTH_SOCK > /three; test -S $SSH_AUTH_SOCK
RUN --mount=type=tmpfs,target=/tmp/deep/er,size=1m touch /tmp/deep/er/x && ! dd if=/dev/zero of=/tmp/deep/er/y bs=1M count=2 2>/dev/null
`})
	agent, err := net.Listen("unix", filepath.Join(t.TempDir(), "agent"))
	if err != nil {
		t.Fatal(err)
	}
	defer agent.Close()
	b.env = []string{"VARIABLE=value"}
	args := []string{"--secret=id=file,src=secret", "--secret=id=variable,env=VARIABLE", "--ssh=default=" + agent.Addr().String(), "."}
	id, progress := b.build(args...)
	out := b.run(id, "cat /one /two /three; ls -d /cache /run /tmp/* 2>/dev/null; true")
	if want := "750 33:34\n440 5:6\n/run/buildkit/ssh_agent.0\n"; out != want {
		t.Errorf("mounts: %q, want %q", out, want)
	}
	config, err := exec.Command("grep", "-rl", "-e", "s3cret", strings.TrimPrefix(b.store, "--root=")).Output()
	if err == nil {
		t.Errorf("the store has the secret: %s\n%s", config, progress)
	}
	b.build(append([]string{"--no-cache"}, args...)...)
	b.write(map[string]string{"Dockerfile": "FROM localhost/base\nRUN --mount=type=cache,target=/cache cp /cache/count /count\n"})
	id, _ = b.build(".")
	if out := b.run(id, "cat /count"); out != "x\nx\n" {
		t.Errorf("the cache: %q", out)
	}
	b.clean()
}

// TestBuildDocs runs the commands of docs/build.md as they stand there.
func TestBuildDocs(t *testing.T) {
	b := newBuildDir(t, nil)
	subuidless(t, "tag", b.store, buildBase, "docker.io/library/debian:12")
	cmd := command(t, "sh", "-eux", "-c", pageCommands(t, "build.md"))
	cmd.Dir = b.dir
	// The store of buildDir is the default one there.
	data := t.TempDir()
	if err := os.Symlink(strings.TrimPrefix(b.store, "--root="), filepath.Join(data, "subuidless")); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(cmd.Environ(), "XDG_DATA_HOME="+data)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "\nsetting=1\n") {
		t.Errorf("%v\n%s", err, out)
	}
}
