package test

import (
	"archive/tar"
	"bufio"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// TestImageConfig runs an image as its configuration and flags say.
func TestImageConfig(t *testing.T) {
	reg := startRegistry(t)
	config := v1.Config{
		Entrypoint: []string{"/bin/sh", "-c", `echo "$0 $*"; id -u; id -g; id -G; pwd; echo $A,$B,$HOME,$PATH`},
		Cmd:        []string{"first", "second"},
		Env:        []string{"A=1", "B=2", "PATH=/bin", "C"},
		User:       "www-data", WorkingDir: "/var/www", StopSignal: "SIGUSR1",
		Volumes: map[string]struct{}{"/data/inner": {}}, Labels: map[string]string{"from": "image", "over": "image"},
	}
	image := reg.push(t, "config", imageOf(t, config, append(busyboxLayer(t), entry{Header: tar.Header{Name: "etc/odd/", Typeflag: tar.TypeDir, Mode: 0o755}})))
	store := imageStore(t)
	for _, tt := range []struct {
		name        string
		flags, args []string
		want        string
	}{
		{"image", nil, nil, "first second\n33\n33\n33 26\n/var/www\n1,2,/var/www,/bin\n"},
		{"command", nil, []string{"x", "y z"}, "x y z\n33\n33\n33 26\n/var/www\n1,2,/var/www,/bin\n"},
		{"flags", []string{"-e", "B=3", "-u", "4294967294:3000000000", "-w", "/new/dir"}, nil, "first second\n4294967294\n3000000000\n3000000000\n/new/dir\n1,3,/,/bin\n"},
		{"entrypoint", []string{"--entrypoint", "id", "-u", "1000:1001"}, []string{"-u"}, "1000\n"},
		{"volume", []string{"--entrypoint", "stat"}, []string{"-c", "%F %u", "/data/inner"}, "directory 0\n"},
		{"network", []string{"--network=none", "--entrypoint", "ls"}, []string{"/sys/class/net"}, "lo\n"},
	} {
		args := append(append([]string{"run", "--rm", "-q", store}, tt.flags...), image)
		if got := subuidless(t, append(args, tt.args...)...); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	if out := fails(t, "run", "--rm", store, "--entrypoint=", image); !strings.Contains(out, "no command") {
		t.Errorf("without a command: %s", out)
	}
	if out := fails(t, "run", "--rm", store, "-u", "nobody-here", image); !strings.Contains(out, "nobody-here") {
		t.Errorf("an unknown user: %s", out)
	}
	if out := subuidless(t, "ps", "-aq", store); out != "" {
		t.Errorf("containers are left: %s", out)
	}
	var seen []struct {
		RepoTags []string
		Config   v1.Config
	}
	if err := json.Unmarshal([]byte(subuidless(t, "inspect", store, image)), &seen); err != nil || len(seen) != 1 || seen[0].Config.User != "www-data" || seen[0].RepoTags[0] != image {
		t.Errorf("inspect: %+v, %v", seen, err)
	}
	if got := subuidless(t, "inspect", store, "-f", "{{.Config.StopSignal}} {{json .Config.Cmd}}", image); got != "SIGUSR1 [\"first\",\"second\"]\n" {
		t.Errorf("inspect -f: %q", got)
	}
}

// TestImageContainers keeps, lists, stops and removes containers.
func TestImageContainers(t *testing.T) {
	reg := startRegistry(t)
	image := reg.push(t, "containers", imageOf(t, v1.Config{StopSignal: "USR1", Cmd: []string{"sh", "-c", "echo kept >/file; exit 7"}}, busyboxLayer(t)))
	store := imageStore(t)
	cmd := command(t, "subuidless", "run", "-q", store, "--name", "seven", "--label", "a=b", image)
	if err := cmd.Run(); err == nil || cmd.ProcessState.ExitCode() != 7 {
		t.Errorf("the status is %v", err)
	}
	if out := subuidless(t, "ps", "-a", store); !strings.Contains(out, "Exited (7)") || !strings.Contains(out, "seven") {
		t.Errorf("ps -a: %s", out)
	}
	if out := fails(t, "run", store, "--name", "seven", image); !strings.Contains(out, "container name") {
		t.Errorf("the same name again: %s", out)
	}
	if out := fails(t, "rmi", store, image); !strings.Contains(out, "seven uses it") {
		t.Errorf("rmi of an image in use: %s", out)
	}

	// A container that runs, and ends by its stop signal.
	running := exec.Command("subuidless", "run", store, "--name=trap", image, "sh", "-c", "trap 'echo stopped; exit 3' USR1; echo ready; while :; do sleep 0.1; done")
	stdout, err := running.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := running.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() || lines.Text() != "ready" {
		t.Fatalf("the container printed %q", lines.Text())
	}
	if out := subuidless(t, "ps", store); !strings.Contains(out, "Up ") || strings.Contains(out, "seven") {
		t.Errorf("ps: %s", out)
	}
	if out := fails(t, "rm", store, "trap"); !strings.Contains(out, "is running") {
		t.Errorf("rm of a container that runs: %s", out)
	}
	// It does not keep others from removing what is not used, and keeps what it uses.
	subuidless(t, "prune", "--force", "--all", store)
	subuidless(t, "stop", "-t", "60", store, "trap")
	if !lines.Scan() || lines.Text() != "stopped" {
		t.Errorf("at the stop signal, it printed %q", lines.Text())
	}
	if err := running.Wait(); err == nil || running.ProcessState.ExitCode() != 3 {
		t.Errorf("the status is %v", err)
	}

	// One that ignores the signal.
	stubborn := exec.Command("subuidless", "run", "--rm", store, "--name=stubborn", image, "sh", "-c", "trap '' USR1; echo ready; exec sleep 1000")
	if stdout, err = stubborn.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := stubborn.Start(); err != nil {
		t.Fatal(err)
	}
	if lines = bufio.NewScanner(stdout); !lines.Scan() {
		t.Fatal("the container printed nothing")
	}
	subuidless(t, "stop", "-t", "0", store, "stubborn")
	_ = stubborn.Wait() // killed
	if out := subuidless(t, "ps", "-a", "-q", store); strings.Count(out, "\n") != 1 {
		t.Errorf("ps -a: %s", out)
	}
	subuidless(t, "rm", store, "trap")
	subuidless(t, "rmi", store, image)
	if out := subuidless(t, "images", "-q", store); out != "" {
		t.Errorf("images after rmi: %s", out)
	}
}
