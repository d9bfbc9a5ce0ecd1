package test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

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
		top := e.run(append([]string{"podman", "top", "box"}, args...)...)
		for _, want := range []string{"root root sh -c trap", "www-data 4321 sleep 1000"} {
			if !strings.Contains(strings.Join(strings.Fields(top), " "), want) {
				t.Errorf("top %v lacks %q:\n%s", args, want, top)
			}
		}
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

// TestPodmanNamespaces runs containers in user namespaces of their own. Podman as a user with
// subordinate ids prints the same, except for the number of ids.
func TestPodmanNamespaces(t *testing.T) {
	needs(t, "busybox", "podman")
	e := newEngine(t)
	e.run("podman", "pull", "-q", e.base())
	me := os.Getuid()
	e.addAccount()
	// crun mounts volumes by open_tree and move_mount, as it would a new tmpfs.
	dir, err := os.MkdirTemp("/dev/shm", "subuidless-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := removeAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(filepath.Join(dir, "mine"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	const all = 1<<32 - 1
	// The identity, the map, and the owners of a file of the image and one of the user.
	const show = "echo $(id -u) $(id -G); echo $(cat /proc/self/uid_map); stat -c %u:%g /owned/33 /volume/mine"
	runs := func(args string, want ...any) {
		t.Helper()
		argv := append([]string{"podman", "run", "--rm", "--network=none", "-v", dir + ":/volume"}, strings.Fields(args)...)
		e.expect(fmt.Sprintf("%v\n%v\n%v\n%v\n", want...), append(argv, e.base(), "sh", "-c", show)...)
	}
	full := fmt.Sprintf("0 0 1 1 1 %d", all-1)
	kept := fmt.Sprintf("0 1 %d %[1]d 0 1 %d %[2]d %d", me, me+1, all-me-1)
	own := fmt.Sprintf("%d:%[1]d", me)
	runs("", "0 0", full, "33:33", "0:0")
	runs("--group-add 101", "0 0 101", full, "33:33", "0:0")
	runs("--group-add 101 --group-add www-data -u 1000:44", "1000 44 33 101", full, "33:33", "0:0")
	runs("--userns=keep-id", fmt.Sprintf("%d %[1]d", me), kept, "33:33", own)
	runs("--userns=keep-id --group-add 101", fmt.Sprintf("%d %[1]d 101", me), kept, "33:33", own)
	runs("--userns=keep-id -u 33", fmt.Sprintf("33 33 %d 26", me), kept, "33:33", own)
	runs("--userns=keep-id:uid=200,gid=210", "200 210", fmt.Sprintf("0 1 200 200 0 1 201 201 %d", all-201), "33:33", "200:210")
	runs("--userns=nomap", "0 0", fmt.Sprintf("0 1 %d", all-1), "33:33", "65534:65534")
	runs("--userns=auto:size=2000", "0 0", "0 1 2000", "33:33", "65534:65534")
	runs("--uidmap 0:0:1 --uidmap 1:1:200 --gidmap 0:0:300", "0 0", "0 0 1 1 1 200", "33:33", "0:0")
	runs("--uidmap 0:1000:100 --gidmap 0:0:100", "0 0", "0 1000 100", "33:33", "65534:0")

	// The life of a container in such a namespace.
	e.run("podman", "run", "-d", "--name", "box", "--userns=keep-id", "--network=none", e.base(), "sleep", "1000")
	e.expect(owned, "podman", "exec", "box", "sh", "-c", showOwned)
	e.expect("33\n", "podman", "exec", "-u", "33", "box", "id", "-u")
	e.run("podman", "exec", "-u", "0", "box", "chown", "5:6", "/owned/33")
	e.run("podman", "cp", "file", "box:/owned/copied")
	e.expect("5:6 "+own+"\n", "podman", "exec", "box", "sh", "-c", "echo $(stat -c %u:%g /owned/33 /owned/copied)")
	e.run("podman", "commit", "-q", "box", "committed")
	e.run("podman", "rm", "-f", "-t", "0", "box")
	e.expect("5:6 "+own+"\n", "podman", "run", "--rm", "--network=none", "committed", "sh", "-c", "echo $(stat -c %u:%g /owned/33 /owned/copied)")
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

// TestPodmanFuse uses a storage that mounts layers by a FUSE server in the session.
func TestPodmanFuse(t *testing.T) {
	needs(t, "busybox", "fuse", "fuse-overlayfs", "podman")
	e := newEngine(t)
	e.configure("storage.conf", "[storage]\ndriver = \"overlay\"\n[storage.options.overlay]\nmount_program = \"/usr/bin/fuse-overlayfs\"\n")
	e.run("podman", "pull", "-q", e.base())
	e.run("podman", "run", "-d", "--name", "box", "--network=none", e.base(), "sleep", "1000")
	e.expect("fuse.fuse-overlayfs\n", "podman", "exec", "box", "sh", "-c", `awk '$2 == "/" { print $3 }' /proc/mounts`)
	e.expect(owned, "podman", "exec", "-u", "33", "box", "sh", "-c", showOwned)
	e.run("podman", "exec", "box", "sh", "-c", "cd /owned; chown 5:6 33; chown -h 7:8 link; mkfifo new; chown 9:10 new; ln -s 33 other; chown -h 11:12 other")
	const show, want = "cd /owned; echo $(stat -c %u:%g 33 link new other 101)", "5:6 7:8 9:10 11:12 101:101\n"
	e.expect(want, "podman", "exec", "box", "sh", "-c", show)
	e.run("podman", "commit", "-q", "box", "committed")
	e.run("podman", "rm", "-f", "-t", "0", "box")
	e.expect(want, "podman", "run", "--rm", "--network=none", "committed", "sh", "-c", show)
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
	const change = "cd /owned && chown 7:8 33 && chown -h 9:10 link && chown 11:12 fifo && chmod 4711 33 && rm 101 && mkdir new && chown 13:14 new"
	const want = `layer 1
etc/ 5 755 0:0 "" 0 []
owned/ 5 755 0:0 "" 0 []
owned/.wh.101 0 0 0:0 "" 0 []
owned/33 0 4711 7:8 "" 6 []
owned/fifo 6 640 11:12 "" 0 []
owned/link 2 777 9:10 "33" 0 []
owned/new/ 5 755 13:14 "" 0 []
`
	e := newEngine(t)
	e.run("podman", "run", "--name", "box", "--network=none", e.base(), "sh", "-c", change)
	e.run("podman", "commit", "-q", "box", e.addr+"/podman")
	e.run("podman", "push", "-q", e.addr+"/podman")

	box := strings.TrimSpace(e.run("buildah", "from", e.base()))
	e.run("buildah", "run", "--network=none", box, "sh", "-c", change)
	mounted := strings.TrimSpace(e.run("buildah", "mount", box))
	e.expect("7:8\n", "session", "exec", "--", "stat", "-c", "%u:%g", filepath.Join(mounted, "owned", "33"))
	e.run("buildah", "umount", box)
	e.run("buildah", "commit", "-q", box, e.addr+"/buildah")
	e.run("buildah", "push", "-q", e.addr+"/buildah")

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

// TestPodmanKilled kills the supervisor of a running container.
func TestPodmanKilled(t *testing.T) {
	needs(t, "busybox", "podman")
	e := newEngine(t)
	e.run("podman", "run", "-d", "--name", "box", "--network=none", e.base(), "sleep", "1000")
	keeper := func() int {
		t.Helper()
		for line := range strings.Lines(e.run("session", "ls")) {
			if f := strings.Fields(line); f[0] == "default" {
				pid, err := strconv.Atoi(f[1])
				if err != nil {
					t.Fatal(err)
				}
				return pid
			}
		}
		t.Fatal("there is no session")
		return 0
	}
	kill := func(signal unix.Signal, pids ...int) {
		t.Helper()
		for _, pid := range pids {
			if err := unix.Kill(pid, signal); err != nil {
				t.Fatal(err)
			}
		}
	}
	// One of the two is replaced, and nobody notices.
	kill(unix.SIGKILL, keeper())
	e.expect("33\n", "podman", "exec", "-u", "33", "box", "id", "-u")
	pid := keeper()
	kill(unix.SIGKILL, workerOf(t, e))
	e.expect("33\n", "podman", "exec", "-u", "33", "box", "id", "-u")

	// Without both, the containers have to end. The next command says so, and podman can
	// start them again.
	pids := []int{pid, workerOf(t, e)}
	kill(unix.SIGSTOP, pids...) // so that none replaces the other
	kill(unix.SIGKILL, pids...)
	out, messages, status := e.try("podman", "ps", "-a", "--format", "{{.Names}} {{.ExitCode}}")
	if status != 0 || out != "box 137\n" || !strings.Contains(messages, "the supervisor of session default was killed: ending the ") || !strings.Contains(messages, "with the containers box") {
		t.Errorf("after the death of the supervisor: exit status %d\n%s%s", status, out, messages)
	}
	e.run("podman", "start", "box")
	e.expect("33\n", "podman", "exec", "-u", "33", "box", "id", "-u")
	e.run("podman", "rm", "-f", "-t", "0", "box")
}

// workerOf returns the process id of the worker of the user's session: it is the one process
// in the session's user namespace whose name tells it.
func workerOf(t *testing.T, e *engine) int {
	t.Helper()
	ns := strings.TrimSpace(e.run("session", "exec", "--", "readlink", "/proc/self/ns/user"))
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		for _, pid := range processes(os.Getuid(), workVar+"="+work()) {
			if link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/user", pid)); err == nil && link == ns && strings.HasPrefix(commandLine(pid), "subuidless-worker ") {
				return pid
			}
		}
	}
	t.Fatal("there is no worker")
	return 0
}

// TestPodmanVFS uses a storage that a plain podman has begun with the driver vfs.
func TestPodmanVFS(t *testing.T) {
	needs(t, "buildah", "busybox", "podman")
	e := newEngine(t)
	first := e.command("podman", "info")
	first.Env = append(first.Env, "STORAGE_DRIVER=vfs")
	if out, err := first.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := endPause(e); err != nil {
		t.Fatal(err)
	}
	const driver = "{{.Store.GraphDriverName}}"
	out, messages, status := e.try("podman", "info", "-f", driver)
	if status != 0 || out != "vfs\n" || !strings.Contains(messages, "use the storage driver vfs") || !strings.Contains(messages, "subuidless podman system reset") {
		t.Errorf("exit status %d\n%s%s", status, out, messages)
	}
	// Said once in a session. Buildah uses the same storage.
	if _, messages, _ := e.try("podman", "pull", "-q", e.base()); strings.Contains(messages, "vfs") {
		t.Errorf("the second command says: %s", messages)
	}
	e.expect(e.base()+"\n", "buildah", "images", "--format", "{{.Name}}")
	e.expect(owned, "podman", "run", "--rm", "--network=none", e.base(), "sh", "-c", showOwned)
	// What podman starts in the background at the end of a container may write the database again.
	for end := time.Now().Add(patience); ; {
		e.run("podman", "system", "reset", "-f")
		out, messages, status := e.try("podman", "info", "-f", driver)
		if status == 0 && out == "overlay\n" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("exit status %d\n%s%s", status, out, messages)
		}
	}
}

// TestDocker runs docker's client, and podman in its place.
func TestDocker(t *testing.T) {
	needs(t, "busybox", "podman")
	for _, tt := range []struct {
		name     string
		required string
		path     func(t *testing.T) string // of the command "docker"; empty: there is none
	}{
		{"client", "docker", func(*testing.T) string { return "" }},
		{"script", "podman", func(t *testing.T) string {
			script := filepath.Join(t.TempDir(), "docker")
			if err := os.WriteFile(script, []byte("#!/bin/sh\nexec podman \"$@\"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			return filepath.Dir(script) + ":"
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			needs(t, tt.required)
			e := newEngine(t)
			e.env = append(e.env, "PATH="+tt.path(t)+os.Getenv("PATH"))
			e.run("docker", "pull", "-q", e.base())
			e.run("docker", "run", "-d", "--name", "box", "--network=none", e.base(), "sleep", "1000")
			e.expect(owned, "docker", "exec", "box", "sh", "-c", showOwned)
			e.expect("33\n", "docker", "exec", "-u", "33", "box", "id", "-u")
			e.expect("box\n", "podman", "ps", "--format", "{{.Names}}")
			e.run("docker", "build", "--build-arg", "base="+e.base(), "--target", "first", "-t", "built", ".")
			e.expect("46:47\n", "docker", "run", "--rm", "--network=none", "built", "stat", "-c", "%u:%g", "/srv/link")
			e.run("docker", "kill", "box")
			e.run("docker", "rm", "box")
			e.run("session", "stop") // not the server
		})
	}
}
