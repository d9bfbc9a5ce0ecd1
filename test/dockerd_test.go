package test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// dockerHost is where slirp4netns, in the network of docker's server, forwards connections to the
// loopback interface of the host.
const dockerHost = "10.0.2.2"

// configureDocker lets docker's server use the registry of e, also in place of docker.io, and
// returns the address that it has for the server.
func (e *engine) configureDocker() (registry string) {
	e.t.Helper()
	_, port, err := net.SplitHostPort(e.addr)
	if err != nil {
		e.t.Fatal(err)
	}
	registry = net.JoinHostPort(dockerHost, port)
	dir := e.home(".config", "docker")
	config := fmt.Appendf(nil, `{"insecure-registries": [%[1]q], "registry-mirrors": ["http://%[1]s"]}`, registry)
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "daemon.json"), config, 0o644)); err != nil {
		e.t.Fatal(err)
	}
	// Debian 12's programs are not installed, but those of Debian 13.
	if _, err := os.Stat("/usr/sbin/dockerd"); err != nil {
		e.env = append(e.env, "PATH="+work("programs")+":"+os.Getenv("PATH"))
	}
	e.env = append(e.env, "DOCKERD_ROOTLESS_ROOTLESSKIT_DISABLE_HOST_LOOPBACK=false", "NO_PROXY="+dockerHost)
	return registry
}

// startDockerd starts docker's server, which ends with the test.
func (e *engine) startDockerd() {
	e.t.Helper()
	var log bytes.Buffer
	cmd := e.command("subuidless", "dockerd")
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		e.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	e.t.Cleanup(func() {
		if err := stopSessions(e.runtimeDir()); err != nil {
			e.t.Error(err)
		}
		<-ended
		if e.t.Failed() {
			e.t.Logf("dockerd: %s", log.Bytes())
		}
	})
	within(e.t, 5*patience, "docker's server", func() bool {
		select {
		case err := <-ended:
			ended <- err
			e.t.Fatalf("dockerd ended: %v", err)
		default:
		}
		c, err := net.Dial("unix", e.runtimeDir()+"/docker.sock")
		return err == nil && c.Close() == nil
	})
}

// TestDockerd runs the life of images and containers with docker's own server, and builds with
// the classic builder and BuildKit.
func TestDockerd(t *testing.T) {
	needs(t, "busybox", "docker", "dockerd", "newuidmap", "root", "rootlesskit", "slirp4netns", "tun")
	e := newEngine(t)
	registry := e.configureDocker()
	e.startDockerd()
	base := registry + "/" + baseImage
	e.run("docker", "pull", "-q", base)
	e.expect(owned, "docker", "run", "--rm", "--network=none", base, "sh", "-c", showOwned)
	e.run("docker", "run", "-d", "--name", "box", "-p", "127.0.0.1::80", "-v", "data:/srv", base,
		"sh", "-c", "echo served >/srv/file && chown 33:101 /srv /srv/file && exec httpd -f -h /srv")
	published := strings.TrimSpace(e.run("docker", "port", "box", "80"))
	eventually(t, "the container's server", func() bool {
		got, err := fetch("http://" + published + "/file")
		return err == nil && string(got) == "served\n"
	})
	if out, _, status := e.try("docker", "exec", "-u", "33", "box", "sh", "-c", "id -u; stat -c %u:%g /srv/file; chown 5 /owned/33; exit 7"); status != 7 || out != "33\n33:101\n" {
		t.Errorf("exec printed %q, exit status %d", out, status)
	}
	e.run("docker", "cp", "file", "box:/owned/copied")
	e.expect("content\n", "docker", "exec", "box", "cat", "/owned/copied")
	e.run("docker", "exec", "box", "sh", "-c", "rm /owned/copied && "+modifyOwned)
	e.run("docker", "commit", "box", registry+"/committed")
	e.run("docker", "push", "-q", registry+"/committed")
	e.run("docker", "rm", "-f", "box")
	e.run("docker", "volume", "rm", "data")
	want := "layer 1\n" + modifiedOwned
	if got, err := addedFiles(e.addr, "committed"); err != nil || got != want {
		t.Errorf("committed: %v, %s", err, diff([]byte(want), []byte(got)))
	}
	e.buildByDocker(registry, "classic", "0")
	e.buildByDocker(registry, "buildkit", "1")
}

// TestCompose runs a stack of docker-compose with docker's own server, and as a plugin of docker's
// client, which subuidless runs, with podman's.
func TestCompose(t *testing.T) {
	needs(t, "busybox", "docker", "docker-compose", "slirp4netns", "tun")
	t.Run("dockerd", func(t *testing.T) {
		needs(t, "dockerd", "newuidmap", "rootlesskit")
		e := newEngine(t)
		base := e.configureDocker() + "/" + baseImage
		e.startDockerd()
		e.env = append(e.env, "DOCKER_HOST=unix://"+e.runtimeDir()+"/docker.sock")
		compose := e.composeStack(base, "docker-compose")
		eventually(t, "the client of the stack", func() bool { // it finds the server by its name
			return strings.HasSuffix(compose("logs", "--no-color", "--no-log-prefix", "client"), "served\n1000\n")
		})
		e.endStack(compose)
	})
	t.Run("podman", func(t *testing.T) {
		needs(t, "podman")
		e := newEngine(t)
		dir := e.home(".docker", "cli-plugins")
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "docker-compose"), []byte(composePlugin), 0o755)); err != nil {
			t.Fatal(err)
		}
		e.endStack(e.composeStack(e.base(), "subuidless", "docker", "compose"))
	})
}

// composePlugin makes docker-compose 1 a plugin of docker's client, as docker-compose 2 is.
const composePlugin = `#!/bin/sh
if [ "$1" = docker-cli-plugin-metadata ]; then
	echo '{"SchemaVersion": "0.1.0", "Vendor": "subuidless", "Version": "1"}'
else
	shift
	exec docker-compose "$@"
fi
`

// composeStack starts the stack of compose.yaml with the image base, uses its server, and returns a
// function that runs docker-compose, as the command with the given beginning does.
func (e *engine) composeStack(base string, command ...string) (compose func(args ...string) string) {
	t := e.t
	t.Helper()
	e.env = append(e.env, "COMPOSE_PROJECT_NAME=stack", "BASE="+base)
	compose = func(args ...string) string {
		t.Helper()
		var out, messages strings.Builder
		cmd := e.command(append(slices.Clone(command), args...)...)
		cmd.Stdout, cmd.Stderr = &out, &messages
		if err := cmd.Run(); err != nil {
			t.Fatalf("docker-compose %v: %v\n%s%s", args, err, out.String(), messages.String())
		}
		return out.String()
	}
	compose("up", "-d")
	published := strings.TrimSpace(compose("port", "web", "8080"))
	eventually(t, "the server of the stack", func() bool {
		got, err := fetch("http://" + published + "/file")
		return err == nil && string(got) == "served\n"
	})
	if got, want := compose("exec", "-T", "web", "sh", "-c", "id -u; stat -c %u:%g /srv /srv/file"), "33\n33:101\n33:101\n"; got != want {
		t.Errorf("exec printed %q, want %q", got, want)
	}
	return compose
}

// endStack ends the stack of composeStack.
func (e *engine) endStack(compose func(args ...string) string) {
	e.t.Helper()
	compose("down", "-v", "-t", "0")
	e.expect("", "docker", "ps", "-aq")
	e.expect("", "docker", "volume", "ls", "-q")
}

// ownDocker matches what docker's builders put into the image "last" unlike buildah, by which
// buildAsRoot builds, for real root, too: buildah adds the directory of a file that it mounts, and
// BuildKit's COPY leaves FIFOs out, which the list of the copied files shows.
var ownDocker = map[string]*regexp.Regexp{
	"classic":  regexp.MustCompile(`(?m)^etc/ .*\n`),
	"buildkit": regexp.MustCompile(`(?m)^(etc/|srv/fifo|list2) .*\n`),
}

// buildByDocker builds images with one of docker's builders, and compares them with those of real
// root.
func (e *engine) buildByDocker(registry, builder, buildkit string) {
	e.t.Helper()
	e.env = append(e.env, "DOCKER_BUILDKIT="+buildkit)
	for name, target := range engineBuilds {
		image := builder + "/" + name
		args := []string{"docker", "build", "-q", "--build-arg", "base=" + registry + "/" + baseImage, "-t", registry + "/" + image}
		if target != "" {
			args = append(args, "--target", target)
		}
		e.run(append(args, ".")...)
		e.run("docker", "push", "-q", registry+"/"+image)
		got, err := addedFiles(e.addr, image)
		if err != nil {
			e.t.Fatal(err)
		}
		want, err := os.ReadFile(work("expected", "engines", name))
		if err != nil {
			e.t.Fatal(err)
		}
		if name == "last" {
			got = ownDocker[builder].ReplaceAllString(got, "")
			want = ownDocker[builder].ReplaceAll(want, nil)
		}
		if got != string(want) {
			e.t.Errorf("%s: %s", image, diff(want, []byte(got)))
		}
	}
}
