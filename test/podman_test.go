package test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// TestPodman runs a container with one command and uses it with others.
func TestPodman(t *testing.T) {
	needs(t, "busybox", "podman")
	e := newEngine(t)
	e.run("podman", "pull", "-q", e.base())
	e.expect(owned, "podman", "run", "--rm", "--network=none", e.base(), "sh", "-c", showOwned)
	e.expect("1000 1000\n", "podman", "run", "--rm", "--network=none", "-u", "1000:1000", e.base(), "sh", "-c", "echo $(id -u) $(id -g)")
	e.run("podman", "run", "-d", "--name", "box", "--network=none", "-v", "data:/data", e.base(), "sh", "-c", "trap 'exit 9' TERM; echo started; sleep 1000 & wait")
	e.expect("box\n", "podman", "ps", "--format", "{{.Names}}")

	if out, _, status := e.try("podman", "exec", "-u", "33", "box", "sh", "-c", "id -u; id -un; cat /owned/dir/none; chown 5 /owned/33; exit 7"); status != 7 || out != "33\nwww-data\n" {
		t.Errorf("exec printed %q, exit status %d", out, status)
	}
	e.run("podman", "exec", "box", "sh", "-c", "touch /data/x && chown 33:101 /data /data/x && mkfifo /data/fifo && chown 5:6 /data/fifo")
	e.expect("33:101 33:101 5:6\n", "podman", "exec", "-u", "www-data", "box", "sh", "-c", "echo $(stat -c %u:%g /data /data/x /data/fifo)")
	in := e.command("subuidless", "podman", "exec", "-i", "box", "cat")
	in.Stdin = strings.NewReader("through a pipe")
	if out, err := in.Output(); err != nil || string(out) != "through a pipe" {
		t.Errorf("exec -i printed %q, %v", out, err)
	}

	e.run("podman", "cp", "file", "box:/owned/copied")
	e.expect("0:0 content\n", "podman", "exec", "box", "sh", "-c", "echo $(stat -c %u:%g /owned/copied) $(cat /owned/copied)")
	e.run("podman", "cp", "box:/owned/33", e.home("copied"))
	if b, err := os.ReadFile(e.home("copied")); err != nil || string(b) != "owned\n" {
		t.Errorf("cp copied %q, %v", b, err)
	}
	e.expect("started\n", "podman", "logs", "box")
	e.run("podman", "exec", "-d", "-u", "33:4321", "box", "sleep", "1000")
	for _, args := range [][]string{{"user", "group", "args"}, {"-eo", "user,group,args"}} {
		eventually(t, fmt.Sprintf("top %v shows both commands", args), func() bool { // when the second one has been executed
			top := strings.Join(strings.Fields(e.run(append([]string{"podman", "top", "box"}, args...)...)), " ")
			return strings.Contains(top, "root root sh -c trap") && strings.Contains(top, "www-data 4321 sleep 1000")
		})
	}

	if out := e.run("session", "ls"); !strings.Contains(out, "  1            ") || !strings.Contains(out, "active") {
		t.Errorf("the list of sessions is:\n%s", out)
	}
	if _, messages, status := e.try("session", "stop"); status != 1 || !strings.Contains(messages, "running containers: box") {
		t.Errorf("stopping the session with a container: exit status %d, %q", status, messages)
	}
	e.run("podman", "stop", "-t", "0", "box")
	e.expect("137\n", "podman", "inspect", "-f", "{{.State.ExitCode}}", "box")
	e.run("podman", "start", "box")
	eventually(t, "the second start", func() bool { return e.run("podman", "logs", "box") == "started\nstarted\n" })
	e.run("session", "stop", "--force")
	e.expect("exited 9\n", "podman", "inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "box")

	// The same storage as that of plain podman.
	plain := e.command("podman", "images", "--format", "{{.Repository}}")
	if out, err := plain.Output(); err != nil || string(out) != e.base()+"\n" {
		t.Errorf("plain podman has the images %q, %v", out, err)
	}
	if err := endPause(e); err != nil {
		t.Error(err)
	}
	e.run("podman", "rm", "box")
	e.run("podman", "volume", "rm", "data")
	e.expect("", "podman", "ps", "-aq")
	e.expect("", "podman", "volume", "ls", "-q")
}

// TestPodmanTerminal uses a container at a terminal, whose size and keys reach it.
func TestPodmanTerminal(t *testing.T) {
	needs(t, "busybox", "podman")
	e := newEngine(t)
	e.run("podman", "pull", "-q", e.base())
	// Podman sets the size after the start.
	const script = `until [ "$(stty size)" = "33 77" ]; do sleep 0.05; done
		trap 'echo; echo interrupted; exit 6' INT; echo ready; while :; do sleep 0.1; done`
	term := startOnTerminal(t, append(append([]string{"env", "-i"}, e.env...), "subuidless", "podman", "run", "--rm", "-it", "--network=none", e.base(), "sh", "-c", script)...)
	term.expect("ready")
	term.typeKey('C')
	term.expect("interrupted")
	if status := term.wait(); status != 6 {
		t.Errorf("exit status %d, want 6", status)
	}
}

// TestPodmanNetwork reaches a server in a container from the host.
func TestPodmanNetwork(t *testing.T) {
	needs(t, "busybox", "podman", "slirp4netns", "tun")
	e := newEngine(t)
	e.run("podman", "run", "-d", "--name", "web", "-p", "127.0.0.1::80", e.base(), "httpd", "-f", "-p", "80", "-h", "/owned", "-u", "33:33")
	addr := strings.TrimSpace(e.run("podman", "port", "web", "80"))
	var last error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		answer, err := http.Get("http://" + addr + "/33")
		if last = err; err != nil {
			continue
		}
		b, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || string(b) != "owned\n" {
			t.Errorf("the server answered %q, %v", b, err)
		}
		break
	}
	if last != nil {
		t.Error(last)
	}
	e.run("podman", "rm", "-f", "-t", "0", "web")
}
