package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// engine is a user with a storage of images and containers of its own, and a registry.
type engine struct {
	t    *testing.T
	addr string // of the registry
	env  []string
}

// newEngine returns a new user. At the end of the test, everything of the user is removed.
func newEngine(t *testing.T) *engine {
	t.Helper()
	l, err := serveRegistry()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	home, err := os.MkdirTemp(work("tmp"), "engine-")
	if err != nil {
		t.Fatal(err)
	}
	// Podman 4 accepts at most 50 bytes for "$XDG_RUNTIME_DIR/containers".
	run := work("run", "e")
	if err := os.Mkdir(run, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, dir := range []string{home, run} {
			if err := removeAll(dir); err != nil {
				t.Error(err)
			}
		}
		// Podman's locks, which outlive its containers.
		if err := os.Remove(fmt.Sprintf("/dev/shm/libpod_rootless_lock_%d", os.Getuid())); err != nil && !os.IsNotExist(err) {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		if err := stopSessions(run); err != nil {
			t.Error(err)
		}
	})
	e := &engine{t: t, addr: l.Addr().String()}
	e.env = append(slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "DOCKER_") }),
		"HOME="+home, "XDG_RUNTIME_DIR="+run, "XDG_STATE_HOME="+filepath.Join(home, "state"))
	e.configure("registries.conf", fmt.Sprintf("[[registry]]\nlocation = %q\ninsecure = true\n", e.addr))
	return e
}

// home returns a path in the user's home directory.
func (e *engine) home(elem ...string) string {
	for _, kv := range slices.Backward(e.env) {
		if home, ok := strings.CutPrefix(kv, "HOME="); ok {
			return filepath.Join(append([]string{home}, elem...)...)
		}
	}
	panic("no HOME")
}

// runtimeDir returns the user's runtime directory.
func (e *engine) runtimeDir() string { return work("run", "e") }

// configure writes a configuration file of the engines.
func (e *engine) configure(name, text string) {
	e.t.Helper()
	dir := e.home(".config", "containers")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		e.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		e.t.Fatal(err)
	}
}

// base returns the name of the base image.
func (e *engine) base() string { return e.addr + "/" + baseImage }

// command returns a command of the user.
func (e *engine) command(argv ...string) *exec.Cmd {
	cmd := command(e.t, argv...)
	cmd.Env = e.env
	cmd.Dir = work("testdata", "engines")
	return cmd
}

// try runs subuidless with args, and returns its output and its exit status.
func (e *engine) try(args ...string) (stdout, stderr string, status int) {
	e.t.Helper()
	var out, messages strings.Builder
	cmd := e.command(append([]string{"subuidless"}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &messages
	if err := cmd.Run(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() < 0 {
		e.t.Fatalf("%v: %v\n%s", args, err, messages.String())
	}
	return out.String(), messages.String(), cmd.ProcessState.ExitCode()
}

// run is try for a command that must succeed. It returns standard output.
func (e *engine) run(args ...string) string {
	e.t.Helper()
	out, messages, status := e.try(args...)
	if status != 0 {
		e.t.Fatalf("%v: exit status %d\n%s%s", args, status, out, messages)
	}
	return out
}

// expect is run, and fails the test if the output is not want.
func (e *engine) expect(want string, args ...string) {
	e.t.Helper()
	if got := e.run(args...); got != want {
		e.t.Errorf("%v: %s", args, diff([]byte(want), []byte(got)))
	}
}

// addAccount gives the user and its group names in the session, by which podman looks them up for
// --userns=keep-id. The tests' user has none.
func (e *engine) addAccount() {
	e.t.Helper()
	for name, line := range map[string]string{"passwd": "tester:x:%d:%[1]d::/:/bin/sh", "group": "tester:x:%d:"} {
		e.run("session", "exec", "--", "sh", "-ec", `{ cat /etc/$1; echo "$2"; } >"$3"; mount --bind "$3" /etc/$1`,
			"sh", name, fmt.Sprintf(line, os.Getuid()), e.home(name))
	}
}

// endPause ends the process that plain podman leaves behind to keep its namespaces.
func endPause(e *engine) error {
	for _, kv := range e.env {
		run, ok := strings.CutPrefix(kv, "XDG_RUNTIME_DIR=")
		if !ok {
			continue
		}
		b, err := os.ReadFile(filepath.Join(run, "libpod", "tmp", "pause.pid"))
		if err != nil {
			continue
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
		if err != nil {
			return err
		}
		if err := unix.Kill(pid, unix.SIGKILL); err != nil && err != unix.ESRCH {
			return err
		}
	}
	return nil
}

// owned is what a shell prints of the files of the base image.
const (
	showOwned = "stat -c '%n %u:%g %a %F' /owned/*"
	owned     = `/owned/1000 1000:1000 644 regular file
/owned/101 101:101 644 regular file
/owned/33 33:33 644 regular file
/owned/4294967294 4294967294:4294967294 644 regular file
/owned/65534 65534:65534 644 regular file
/owned/dir 33:101 750 directory
/owned/fifo 46:47 640 fifo
/owned/link 44:45 777 symbolic link
/owned/setuid 101:101 4755 regular file
`
)

// modifyOwned is what a shell changes in the base image, and modifiedOwned is what a commit contains
// of that.
const (
	modifyOwned   = "cd /owned && chown 7:8 33 && chown -h 9:10 link && chown 11:12 fifo && chmod 4711 33 && rm 101 && mkdir new && chown 13:14 new"
	modifiedOwned = `owned/ 5 755 0:0 "" 0 []
owned/.wh.101 0 0 0:0 "" 0 []
owned/33 0 4711 7:8 "" 6 []
owned/fifo 6 640 11:12 "" 0 []
owned/link 2 777 9:10 "33" 0 []
owned/new/ 5 755 13:14 "" 0 []
`
)
