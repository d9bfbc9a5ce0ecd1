package engine

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootless-containers/subuidless/internal/session"
	"github.com/rootless-containers/subuidless/internal/userns"
)

func TestRootlesskitOptions(t *testing.T) {
	for _, tt := range []struct {
		env  map[string]string // without DOCKERD_ROOTLESS_ROOTLESSKIT_
		want string
	}{
		{nil, "--state-dir=/run/me/dockerd-rootless --net=slirp4netns --mtu=65520 --port-driver=builtin --slirp4netns-sandbox=auto --slirp4netns-seccomp=auto --copy-up=/etc --copy-up=/run --propagation=rslave --disable-host-loopback"},
		{
			map[string]string{"NET": "pasta", "PORT_DRIVER": "implicit", "DISABLE_HOST_LOOPBACK": "false", "FLAGS": "-p  8080:80/tcp", "STATE_DIR": "/s"},
			"--state-dir=/s --net=pasta --mtu=1500 --port-driver=implicit --slirp4netns-sandbox=auto --slirp4netns-seccomp=auto --copy-up=/etc --copy-up=/run --propagation=rslave -p 8080:80/tcp",
		},
	} {
		got, err := rootlesskitOptions(func(name string) string { return tt.env[strings.TrimPrefix(name, "DOCKERD_ROOTLESS_ROOTLESSKIT_")] }, "/run/me")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%v: %s", tt.env, diff)
		}
	}
	if _, err := rootlesskitOptions(func(string) string { return "host" }, "/run/me"); err == nil {
		t.Error("no error for the network of the host")
	}
}

// What is missing is named, with what to install or start.
func TestDockerErrors(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	for _, name := range []string{"DOCKER_HOST", "DOCKER_CONTEXT"} {
		t.Setenv(name, "")
	}
	expect := func(run func(session.Options) (int, error), want string) {
		t.Helper()
		if status, err := run(session.Options{}); err == nil || !strings.Contains(err.Error(), want) || status != 125 {
			t.Errorf("status %d, error %v, want %q", status, err, want)
		}
	}
	install := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("XDG_RUNTIME_DIR", "")
	expect(Dockerd, "XDG_RUNTIME_DIR is not set")
	t.Setenv("XDG_RUNTIME_DIR", dir)
	expect(Docker, "neither docker nor podman")
	install("docker", "\x7fELF")
	expect(Docker, "no server is running: install podman")
	expect(Dockerd, "dockerd is not installed")
	install("dockerd", "")
	expect(Docker, "no server is running: run subuidless dockerd in another shell, or install podman")
	expect(Dockerd, "rootlesskit is not installed")
}

// listenVar is the path of a socket on which this program then listens, until standard input ends.
const listenVar = "SUBUIDLESS_TEST_LISTEN"

func listen(path string) error {
	l, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	l.Close()
	return err
}

// The user's server is used, unless it has one id and no supervisor.
func TestFindDockerd(t *testing.T) {
	run := t.TempDir()
	socket := filepath.Join(run, "docker.sock")
	if _, ok, err := findDockerd(run); ok || err != nil {
		t.Errorf("without a server: %v, %v", ok, err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	maps, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		t.Fatal(err)
	}
	if got, ok, err := findDockerd(run); !hasOneID(string(maps)) && (got != socket || !ok || err != nil) {
		t.Errorf("with a server: %q, %v, %v", got, ok, err)
	}
	l.Close()

	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), listenVar+"="+socket)
	cmd.SysProcAttr = userns.NewProcAttr(0)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skip(err) // no user namespaces here
	}
	defer func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := io.ReadFull(out, make([]byte, len("ready\n"))); err != nil {
		t.Fatal(err)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, ok, err := findDockerd(run)
	if filtered := !strings.Contains(string(status), "\nSeccomp:\t0\n"); filtered != ok || filtered != (err == nil) {
		t.Errorf("with a server of one id: %v, %v", ok, err)
	}
}
