package test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"
)

// backgroundStore returns a store, as an argument, with the image "box", and kills the containers
// that a failed test has left.
func backgroundStore(t *testing.T, config v1.Config, layers ...[]entry) string {
	t.Helper()
	reg := startRegistry(t)
	image := reg.push(t, "box", imageOf(t, config, append([][]entry{busyboxLayer(t)}, layers...)...))
	store := imageStore(t)
	subuidless(t, "pull", "-q", store, image)
	subuidless(t, "tag", store, image, "box")
	t.Cleanup(func() {
		ids, err := exec.Command("subuidless", "ps", "-aq", store).Output()
		if err != nil {
			t.Error(err)
		}
		for id := range strings.FieldsSeq(string(ids)) {
			if out, err := exec.Command("subuidless", "rm", "-f", store, id).CombinedOutput(); err != nil {
				t.Errorf("rm -f: %v\n%s", err, out)
			}
		}
	})
	return store
}

// outputs runs subuidless, and returns its standard output, standard error and exit status.
func outputs(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	cmd := command(t, append([]string{"subuidless"}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", cmd, err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// eventually waits until ok returns true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	within(t, patience, what, ok)
}

// within waits until ok returns true, for something that takes longer than an instant.
func within(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, limit)
		}
	}
}

// inspectField returns a field of a container.
func inspectField(t *testing.T, store, name, field string) string {
	t.Helper()
	return strings.TrimSpace(subuidless(t, "inspect", store, "--type=container", "-f", "{{"+field+"}}", name))
}

// TestBackground runs containers in the background. What podman, as real root, prints and returns
// in the same cases is the same.
func TestBackground(t *testing.T) {
	store := backgroundStore(t, v1.Config{Env: []string{"A=image"}, StopSignal: "USR1", WorkingDir: "/work"})
	stdout, stderr, status := outputs(t, "run", "-d", store, "--name=web", "-e", "B=user", "box", "sh", "-c",
		"trap 'echo stopped; exit 9' USR1; echo out; echo err >&2; while :; do sleep 0.1; done")
	if status != 0 || len(stdout) != 65 || stderr != "" {
		t.Fatalf("run -d: %q, %q, %d", stdout, stderr, status)
	}
	id := strings.TrimSpace(stdout)
	eventually(t, "the output is in the log", func() bool {
		stdout, stderr, _ := outputs(t, "logs", store, "web")
		return stdout == "out\n" && stderr == "err\n"
	})
	if got := subuidless(t, "ps", store, "--format", "{{.ID}} {{.Names}} {{.State}}"); got != id[:12]+" web running\n" {
		t.Errorf("ps: %q", got)
	}
	if got := subuidless(t, "ps", store, "--format", `table {{.Names}}\t{{.Image}}`); got != "NAMES   IMAGE\nweb     box\n" {
		t.Errorf("ps with a table: %q", got)
	}
	for _, tt := range []struct {
		args   []string
		stdin  string
		stdout string
		status int
	}{
		{args: []string{"web", "sh", "-c", "echo $A $B; pwd; exit 4"}, stdout: "image user\n/work\n", status: 4},
		{args: []string{"-e", "B=exec", "-u", "www-data", "-w", "/tmp", id, "sh", "-c", "echo $B $HOME; pwd; id -u; id -G"}, stdout: "exec /var/www\n/tmp\n33\n33 26\n"},
		{args: []string{"-u", "4294967294:5", id[:12], "sh", "-c", "id -u; id -g; touch /tmp/x; stat -c %u:%g /tmp/x"}, stdout: "4294967294\n5\n4294967294:5\n"},
		{args: []string{"web", "nosuch"}, status: 127},
		{args: []string{"web", "/etc/passwd"}, status: 126},
		{args: []string{"web", "sh", "-c", "kill -9 $$"}, status: 137},
		{args: []string{"-w", "/no/such", "web", "pwd"}, status: 125},
		{args: []string{"-u", "nobody-here", "web", "true"}, status: 125},
		{args: []string{"web", "cat"}, stdin: "in\n"},
		{args: []string{"-i", "web", "cat"}, stdin: "in\n", stdout: "in\n"},
		{args: []string{"-t", "web", "test", "-t", "1"}},
		{args: []string{"-i", "no-such-container", "true"}, status: 125},
	} {
		cmd := command(t, append([]string{"subuidless", "exec", store}, tt.args...)...)
		cmd.Stdin = strings.NewReader(tt.stdin)
		out, err := cmd.Output()
		if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		if string(out) != tt.stdout || cmd.ProcessState.ExitCode() != tt.status {
			t.Errorf("exec %q: %q, status %d (%v); want %q, %d", tt.args, out, cmd.ProcessState.ExitCode(), err, tt.stdout, tt.status)
		}
	}
	// The detached command goes on.
	subuidless(t, "exec", "-d", store, "-u", "www-data", "web", "sleep", "1000")
	eventually(t, "top shows the command, and nothing of subuidless", func() bool { // when it has been executed
		got := subuidless(t, "top", store, "web")
		return strings.Contains(got, "www-data") && strings.Contains(got, "sleep 1000") && !strings.Contains(got, "subuidless")
	})
	if got := fails(t, "start", "-a", store, "web"); !strings.Contains(got, "is running") {
		t.Errorf("start -a of a container that runs: %s", got)
	}
	subuidless(t, "start", store, "web") // as docker: nothing happens
	subuidless(t, "stop", store, "-t", "60", "web")
	if got := subuidless(t, "wait", store, "web"); got != "9\n" {
		t.Errorf("wait: %q", got)
	}
	if got := subuidless(t, "logs", store, "--tail=1", "web"); got != "stopped\n" {
		t.Errorf("logs --tail=1: %q", got)
	}
	if _, stderr, status := outputs(t, "exec", store, "web", "true"); status != 125 || !strings.Contains(stderr, "is not running") {
		t.Errorf("exec in a container that has ended: %d, %s", status, stderr)
	}
	for _, command := range []string{"kill", "top"} {
		if got := fails(t, command, store, "web"); !strings.Contains(got, "is not running") {
			t.Errorf("%s: %s", command, got)
		}
	}

	// It keeps its files and its log when it starts again, under another name.
	subuidless(t, "rename", store, "web", "again")
	subuidless(t, "start", store, "again")
	if got := subuidless(t, "exec", store, "again", "stat", "-c", "%u", "/tmp/x"); got != "4294967294\n" {
		t.Errorf("a file after the restart: %q", got)
	}
	eventually(t, "the output of the second run", func() bool { return strings.Count(subuidless(t, "logs", store, "again"), "out\n") == 2 })
	subuidless(t, "kill", store, "again")
	if got := subuidless(t, "wait", store, "again"); got != "137\n" {
		t.Errorf("wait after kill: %q", got)
	}
	if got := inspectField(t, store, "again", ".State.Status") + inspectField(t, store, "again", ".State.ExitCode"); got != "exited137" {
		t.Errorf("after kill: %s", got)
	}
	subuidless(t, "restart", store, "again")
	if got := subuidless(t, "ps", store, "-q", "--filter", "name=again", "--filter", "status=running"); got != id[:12]+"\n" {
		t.Errorf("ps after restart: %q", got)
	}
}

// TestBackgroundStart looks at containers that do not start, or only later.
func TestBackgroundStart(t *testing.T) {
	store := backgroundStore(t, v1.Config{})
	if stdout, stderr, status := outputs(t, "run", "-d", store, "--name=bad", "box", "nosuch"); status != 127 || stdout != "" || !strings.Contains(stderr, "nosuch: command not found") {
		t.Errorf("run -d of a command that does not exist: %q, %q, %d", stdout, stderr, status)
	}
	if got := inspectField(t, store, "bad", ".State.ExitCode"); got != "127" {
		t.Errorf("its exit status is %s", got)
	}
	if _, stderr, status := outputs(t, "run", "-d", "--rm", store, "-u", "nobody-here", "box", "true"); status != 125 || !strings.Contains(stderr, "nobody-here") {
		t.Errorf("run -d of an unknown user: %q, %d", stderr, status)
	}
	if got := fails(t, "run", "-d", store, "--restart=always", "box"); !strings.Contains(got, "only no is supported") {
		t.Errorf("--restart: %s", got)
	}
	idFile := filepath.Join(t.TempDir(), "id")
	id := strings.TrimSpace(subuidless(t, "create", store, "--cidfile", idFile, "--name=later", "box", "sh", "-c", "echo ran; exit 5"))
	if b, err := os.ReadFile(idFile); err != nil || string(b) != id {
		t.Errorf("--cidfile: %q, %v; want %s", b, err, id)
	}
	if got := inspectField(t, store, "later", ".State.Status"); got != "created" {
		t.Errorf("the state is %s", got)
	}
	if stdout, _, status := outputs(t, "start", "-a", store, "later"); status != 5 || stdout != "ran\n" {
		t.Errorf("start -a: %q, %d", stdout, status)
	}
	// Several commands at once start it once.
	var all sync.WaitGroup
	var mu sync.Mutex
	started := 0
	for range 4 {
		all.Go(func() {
			if exec.Command("subuidless", "start", store, "later").Run() == nil {
				mu.Lock()
				started++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if started == 0 {
		t.Error("of four commands, none has started it")
	}
	subuidless(t, "wait", store, "later")
	if stdout, _, _ := outputs(t, "run", "-d", "--rm", store, "--name=gone", "box", "sleep", "1000"); len(stdout) != 65 {
		t.Errorf("run -d --rm: %q", stdout)
	}
	// wait knows the status of a container that is removed at its end.
	waiting := command(t, "subuidless", "wait", store, "gone")
	_, out := startWithPipes(t, waiting)
	following := command(t, "subuidless", "logs", "-f", store, "gone")
	if err := following.Start(); err != nil {
		t.Fatal(err)
	}
	for pid, name := range map[int]string{waiting.Process.Pid: "/lock", following.Process.Pid: "/log"} {
		eventually(t, "the command waits", func() bool { return hasOpen(pid, name) })
	}
	subuidless(t, "kill", store, "-s", "TERM", "gone")
	if line, err := out.ReadString('\n'); line != "143\n" {
		t.Errorf("wait: %q, %v", line, err)
	}
	if err := errors.Join(waiting.Wait(), following.Wait()); err != nil {
		t.Error(err)
	}
	if got := subuidless(t, "ps", "-aq", store, "--filter", "name=gone"); got != "" {
		t.Errorf("after its end: %q", got)
	}
	stdin := subuidless(t, "run", "-di", store, "--name=open", "box", "cat")
	tty := subuidless(t, "run", "-dt", store, "--name=tty", "box", "sh", "-c", "test -t 0 && test -t 1 && echo terminal; sleep 1000")
	eventually(t, "the output of the terminal", func() bool { return subuidless(t, "logs", store, "tty") == "terminal\r\n" })
	if got := subuidless(t, "ps", "-q", "--no-trunc", store); got != tty+stdin {
		t.Errorf("ps: %q, want %q", got, tty+stdin)
	}
	subuidless(t, "run", "-d", store, "--name=quiet", "--log-driver=none", "box", "echo", "x")
	if got := fails(t, "logs", store, "quiet"); !strings.Contains(got, "has no log") {
		t.Errorf("logs of a container without: %s", got)
	}
}

// hasOpen reports whether the process has opened a file of a path with this end.
func hasOpen(pid int, end string) bool {
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		panic(err) // a malformed pattern
	}
	return slices.ContainsFunc(fds, func(fd string) bool {
		name, err := os.Readlink(fd)
		return err == nil && strings.HasSuffix(name, end)
	})
}

// TestBackgroundLogs follows a log.
func TestBackgroundLogs(t *testing.T) {
	store := backgroundStore(t, v1.Config{})
	host := t.TempDir()
	subuidless(t, "run", "-d", store, "--name=count", "-v", host+":/host", "box", "sh", "-c", "echo 1; until test -e /host/go; do sleep 0.05; done; echo 2; echo 3 >&2; printf end")
	follow := command(t, "subuidless", "logs", "-f", "-t", store, "count")
	var errs bytes.Buffer
	follow.Stderr = &errs
	_, out := startWithPipes(t, follow)
	line, err := out.ReadString('\n')
	if stamp, text, ok := strings.Cut(line, " "); !ok || text != "1\n" || err != nil {
		t.Errorf("the first line is %q, %v", line, err)
	} else if _, err := time.Parse(time.RFC3339Nano, stamp); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(host, "go"), nil, 0o644); err != nil { // exec might end with the container
		t.Fatal(err)
	}
	line, err = out.ReadString('\n')
	if !strings.HasSuffix(line, " 2\n") || err != nil {
		t.Errorf("the second line is %q, %v", line, err)
	}
	if line, _ = out.ReadString('\n'); !strings.HasSuffix(line, " end") {
		t.Errorf("the last line is %q", line)
	}
	if err := follow.Wait(); err != nil || !strings.HasSuffix(errs.String(), " 3\n") {
		t.Errorf("%v; standard error: %q", err, &errs)
	}
	if got, _, _ := outputs(t, "logs", store, "--since", "1h", "--tail", "all", "count"); got != "1\n2\nend" {
		t.Errorf("logs: %q", got)
	}
	if got, _, _ := outputs(t, "logs", store, "--until", "1h", "count"); got != "" {
		t.Errorf("logs of long ago: %q", got)
	}
}

// TestBackgroundHealth checks the health of a container.
func TestBackgroundHealth(t *testing.T) {
	check := &v1.HealthConfig{Test: []string{"CMD-SHELL", "echo checked; test -e /ok"}, Interval: 50 * time.Millisecond, Retries: 2}
	store := backgroundStore(t, v1.Config{Healthcheck: check})
	subuidless(t, "run", "-d", store, "--name=sick", "box", "sleep", "1000")
	status := func() string { return inspectField(t, store, "sick", ".State.Health.Status") }
	eventually(t, "unhealthy", func() bool { return status() == "unhealthy" })
	if got := inspectField(t, store, "sick", "json .State.Health.Log"); !strings.Contains(got, `"ExitCode":1,"Output":"checked\n"`) {
		t.Errorf("the results: %s", got)
	}
	subuidless(t, "exec", store, "sick", "touch", "/ok")
	eventually(t, "healthy", func() bool { return strings.Contains(subuidless(t, "ps", store), "(healthy)") })
	subuidless(t, "run", "-d", store, "--name=slow", "--health-cmd=sleep 1000", "--health-timeout=50ms", "--health-retries=1", "box", "sleep", "1000")
	eventually(t, "a check that takes too long", func() bool {
		return strings.Contains(inspectField(t, store, "slow", "json .State.Health"), "exceeded its timeout of 50ms")
	})
	eventually(t, "its processes have ended", func() bool { return strings.Count(subuidless(t, "top", store, "slow"), "sleep 1000") <= 2 })
	// In the start period, there are more checks.
	context := t.TempDir()
	if err := os.WriteFile(filepath.Join(context, "Dockerfile"), []byte("FROM box\nHEALTHCHECK --interval=1h --start-period=1h --start-interval=50ms CMD test -e /ok"), 0o600); err != nil {
		t.Fatal(err)
	}
	subuidless(t, "build", "-q", "--pull=never", "-t=starting", store, context)
	subuidless(t, "run", "-d", store, "--name=image", "starting", "sleep", "1000")
	subuidless(t, "run", "-d", store, "--name=flag", "--health-interval=1h", "--health-start-period=1h", "--health-start-interval=50ms", "box", "sleep", "1000")
	for _, name := range []string{"image", "flag"} {
		eventually(t, "three checks", func() bool { return inspectField(t, store, name, "ge (len .State.Health.Log) 3") == "true" })
		subuidless(t, "exec", store, name, "touch", "/ok")
		eventually(t, "healthy", func() bool { return inspectField(t, store, name, ".State.Health.Status") == "healthy" })
	}
	subuidless(t, "run", "-d", store, "--name=none", "--no-healthcheck", "box", "sleep", "1000")
	if got := inspectField(t, store, "none", "json .State.Health"); got != "null" {
		t.Errorf("--no-healthcheck: %s", got)
	}
}

// TestBackgroundKilled kills the processes that hold a container in the background.
func TestBackgroundKilled(t *testing.T) {
	store := backgroundStore(t, v1.Config{})
	subuidless(t, "run", "-d", store, "--name=held", "box", "sleep", "1000")
	pid := func(field string) int {
		n, err := strconv.Atoi(inspectField(t, store, "held", field))
		if err != nil || n == 0 {
			t.Fatalf("%s is %d, %v", field, n, err)
		}
		return n
	}
	// Keeper and worker together: the monitor starts others, and commands join them.
	killed := 0
	id := inspectField(t, store, "held", ".Id")
	for _, p := range processes(os.Getuid(), workVar+"="+work()) {
		if line := commandLine(p); line == "subuidless-keeper "+id || line == "subuidless-worker "+id {
			if err := unix.Kill(p, unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
			killed++
		}
	}
	if killed != 2 {
		t.Fatalf("killed %d of keeper and worker", killed)
	}
	if got := subuidless(t, "exec", store, "held", "sh", "-c", "touch /x; chown 7:8 /x; stat -c %u:%g /x"); got != "7:8\n" {
		t.Errorf("after keeper and worker were killed: %q", got)
	}

	// A command in the container ends with it.
	inside := command(t, "subuidless", "exec", store, "held", "sh", "-c", "echo ready; sleep 1000")
	_, out := startWithPipes(t, inside)
	if line, err := out.ReadString('\n'); line != "ready\n" {
		t.Fatalf("exec: %q, %v", line, err)
	}
	// So it does with its subuidless exec.
	other := command(t, "subuidless", "exec", store, "held", "sh", "-c", "echo ready; sleep 2000")
	_, out = startWithPipes(t, other)
	if line, err := out.ReadString('\n'); line != "ready\n" {
		t.Fatalf("exec: %q, %v", line, err)
	}
	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = other.Wait()
	eventually(t, "the end of the command", func() bool {
		return !strings.Contains(subuidless(t, "top", store, "held"), "sh -c echo ready; sleep 2000")
	})

	first := pid(".State.Pid")
	if err := unix.Kill(pid(".State.MonitorPid"), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := inside.Wait(); err == nil || inside.ProcessState.ExitCode() != 137 {
		t.Errorf("exec in a container whose monitor was killed: %v", err)
	}
	if got := subuidless(t, "wait", store, "held"); got != "137\n" {
		t.Errorf("wait: %q", got)
	}
	eventually(t, "the end of the container", func() bool { return unix.Kill(first, 0) == unix.ESRCH })
	if got := inspectField(t, store, "held", ".State.Status") + " " + inspectField(t, store, "held", ".State.Error"); got != "exited the process that ran the container was killed" {
		t.Errorf("inspect: %q", got)
	}
	subuidless(t, "start", store, "held")
	if got := subuidless(t, "exec", store, "held", "stat", "-c", "%u:%g", "/x"); got != "7:8\n" {
		t.Errorf("after it was started again: %q", got)
	}
	subuidless(t, "rm", "-f", store, "held")
	subuidless(t, "store", "check", store)
}

// TestBackgroundFullDisk has no room for the log: the container goes on.
func TestBackgroundFullDisk(t *testing.T) {
	store := backgroundStore(t, v1.Config{})
	id := strings.TrimSpace(subuidless(t, "create", store, "--name=full", "box", "sh", "-c",
		"i=0; while [ $i -lt 3000 ]; do echo line $i of more than what a pipe holds; i=$((i+1)); done; exit 3"))
	dir := filepath.Join(strings.TrimPrefix(store, "--root="), "containers", id)
	if err := os.Symlink("/dev/full", filepath.Join(dir, "log")); err != nil {
		t.Fatal(err)
	}
	subuidless(t, "start", store, "full")
	if got := subuidless(t, "wait", store, "full"); got != "3\n" {
		t.Errorf("wait: %q", got)
	}
	b, err := os.ReadFile(filepath.Join(dir, "monitor.log"))
	if err != nil || !strings.Contains(string(b), "bytes of output are missing at the end of the log: write "+dir+"/log: no space left on device") {
		t.Errorf("the monitor says %q, %v", b, err)
	}
}
