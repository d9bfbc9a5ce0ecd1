package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/containerd/console"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"
)

// TestRunMounts mounts what --mount and --tmpfs say, in an image and in a root file system.
func TestRunMounts(t *testing.T) {
	store := backgroundStore(t, v1.Config{})
	host := t.TempDir()
	if err := os.Mkdir(filepath.Join(host, "src:1"), 0o755); err != nil { // -v could not name it
		t.Fatal(err)
	}
	for name, content := range map[string]string{"src:1/file": "from the host", "env": "# comment\nA=file\nB=file\n"} {
		if err := os.WriteFile(filepath.Join(host, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const script = `set -e
cat /deep/er/bind/file; echo; if touch /deep/er/bind/x 2>/dev/null; then echo written; fi
stat -c '%n %u:%g %a' /deep /t; chown 7:8 /deep; stat -c %u:%g /deep; echo $A $B
cp /bin/busybox /deep/busybox; if /deep/busybox true 2>/dev/null; then echo executed; fi
cp /bin/busybox /x/busybox; /x/busybox true; if touch /r/x 2>/dev/null; then echo written; fi; mount | grep -c ' type tmpfs .*size=1024k'`
	const want = "from the host\n/deep 0:0 1777\n/t 0:0 700\n7:8\nfile user\n1\n"
	flags := []string{
		"--mount", "type=bind,source=" + host + "/src:1,target=/deep/er/bind,readonly", "--tmpfs", "/deep", "--mount", "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=700",
		"--tmpfs", "/x:exec", "--tmpfs", "/r:ro", "--env-file", host + "/env", "-e", "B=user",
	}
	rootfs := t.TempDir()
	if err := makeRootfs(rootfs); err != nil {
		t.Fatal(err)
	}
	for i, target := range [][]string{{store, "box"}, {rootfs, "--"}} {
		shell := append(append([]string{"run"}, flags...), target...)
		if out := subuidless(t, append(shell, "/bin/busybox", "sh", "-c", strings.NewReplacer("cp ", "busybox cp ", "grep", "busybox grep", "mount |", "busybox mount |").Replace(script))...); out != want {
			t.Errorf("%d: %q, want %q", i, out, want)
		}
	}
	subuidless(t, "run", "--name=v", store, "--mount", "source=named,target=/v", "--mount", "target=/own", "box", "sh", "-c", "touch /v/x /own/x")
	if out := subuidless(t, "run", "--rm", store, "-v", "named:/v:ro", "box", "ls", "/v"); out != "x\n" {
		t.Errorf("the volume has %q", out)
	}
	if out := subuidless(t, "inspect", store, "-f", "{{range .Mounts}}{{.Type}} {{.Name}} {{.Destination}}{{end}}", "v"); out != "volume named /v\n" {
		t.Errorf("inspect: %q", out)
	}
	wantText(t, "a bad mount", fails(t, "run", store, "--mount", "type=bind,source=/no/such,target=/x", "box"), "subuidless: run: --mount type=bind,source=/no/such,target=/x: on the host")
}

// TestRunLimits sets resource limits, name servers and further groups, which commands of exec have, too.
func TestRunLimits(t *testing.T) {
	store := backgroundStore(t, v1.Config{})
	const script = "ulimit -n; ulimit -Hn; ulimit -c; id -G"
	flags := []string{"--ulimit", "nofile=100:200", "--ulimit=core=0", "--group-add", "tape", "--group-add=4000000000"}
	rootfs := t.TempDir()
	if err := makeRootfs(rootfs); err != nil {
		t.Fatal(err)
	}
	for _, target := range [][]string{{store, "box"}, {rootfs, "--"}} {
		run := append(append([]string{"run", "--user=33:33"}, flags...), target...)
		if out := subuidless(t, append(run, "/bin/busybox", "sh", "-c", script)...); out != "100\n200\n0\n33 26 4000000000\n" {
			t.Errorf("%s: %q", target, out)
		}
	}
	subuidless(t, append(append([]string{"run", "-d", "--name=l"}, flags...), store, "box", "sleep", "1000")...)
	if out := subuidless(t, "exec", store, "l", "sh", "-c", script); out != "100\n200\n0\n0 26 4000000000\n" {
		t.Errorf("exec: %q", out)
	}
	const format = "{{json .HostConfig.GroupAdd}} {{range .HostConfig.Ulimits}}{{.Name}}={{.Soft}}:{{.Hard}} {{end}}"
	if out := subuidless(t, "inspect", store, "-f", format, "l"); out != "[\"tape\",\"4000000000\"] nofile=100:200 core=0:0 \n" {
		t.Errorf("inspect: %q", out)
	}
	subuidless(t, "rm", "-f", store, "l")
	if out := subuidless(t, "run", "--rm", store, "--dns=192.0.2.7", "--dns-search=.", "--dns-option=ndots:3", "box", "cat", "/etc/resolv.conf"); !strings.HasSuffix(out, "nameserver 192.0.2.7\noptions ndots:3\n") || strings.Count(out, "nameserver") != 1 {
		t.Errorf("resolv.conf: %q", out)
	}
	for _, tt := range []struct{ flag, want string }{
		{"--ulimit=nofile=200:100", "soft limit must be less than or equal to hard limit"},
		{"--ulimit=nothing=1", "invalid ulimit type"},
		{"--ulimit=core=-2", "must be -1, for none, or at least 0"},
		{"--ulimit=nofile=1:999999999999", "the caller's hard limit is"},
		{"--dns=name.example", "is not an IP address"},
		{"--group-add=nothing", `group "nothing": unable to find group nothing`},
		{"--volumes-from=nothing", `--volumes-from nothing: container "nothing": not found`},
	} {
		wantText(t, tt.flag, fails(t, "run", "--rm", store, tt.flag, "box", "true"), tt.want)
	}
}

// TestVolumesFrom mounts what is mounted in another container.
func TestVolumesFrom(t *testing.T) {
	store := backgroundStore(t, v1.Config{Volumes: map[string]struct{}{"/anonymous": {}}})
	host := t.TempDir()
	subuidless(t, "run", "--name=a", store, "-v", "named:/v", "-v", host+":/h", "-v", "hidden:/x", "-v", "other:/anonymous", "--tmpfs", "/t", "box", "sh", "-c", "touch /v/file /x/file /t/file")
	subuidless(t, "run", "--rm", store, "--volumes-from", "a", "-v", "own:/x", "box", "sh", "-c", "test -f /v/file && ! test -e /x/file && ! test -e /t && touch /h/written")
	if _, err := os.Stat(filepath.Join(host, "written")); err != nil {
		t.Error(err)
	}
	wantText(t, "read-only", fails(t, "run", "--rm", store, "--volumes-from=a:ro", "box", "touch", "/h/again"), "Read-only file system")
	subuidless(t, "create", store, "--name=b", "box", "true")
	wantText(t, "a volume without a name", fails(t, "run", "--rm", store, "--volumes-from=b", "box", "true"), "the volume /anonymous has no name")
}

// TestPause pauses a container.
func TestPause(t *testing.T) {
	store := backgroundStore(t, v1.Config{})
	subuidless(t, "run", "-d", store, "--name=p", "box", "sh", "-c", "trap 'exit 5' TERM; while :; do echo x >>/log; sleep 0.02; done")
	// stopped reports whether the command, the only child of the init, is stopped.
	stopped := func() bool {
		init, err := strconv.Atoi(inspectField(t, store, "p", ".State.Pid"))
		if err != nil {
			t.Fatal(err)
		}
		status, err := os.ReadFile("/proc/" + strings.Join(children(init), "") + "/status")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(status), "State:\tT (stopped)")
	}
	subuidless(t, "pause", store, "p")
	if got := subuidless(t, "ps", store, "--format", "{{.State}} {{.Status}}"); !strings.HasPrefix(got, "paused Up ") || !strings.HasSuffix(got, " (Paused)\n") {
		t.Errorf("ps: %q", got)
	}
	eventually(t, "the command is stopped", stopped)
	for _, args := range [][]string{{"exec", store, "p", "true"}, {"pause", store, "p"}} {
		wantText(t, fmt.Sprint(args), fails(t, args...), "is paused")
	}
	subuidless(t, "unpause", store, "p")
	eventually(t, "the command goes on", func() bool { return !stopped() })
	wantText(t, "unpause again", fails(t, "unpause", store, "p"), "is not paused")
	subuidless(t, "pause", store, "p")
	subuidless(t, "stop", store, "-t", "60", "p")
	if got := subuidless(t, "wait", store, "p"); got != "5\n" {
		t.Errorf("wait after stop: %q", got)
	}
	subuidless(t, "start", store, "p")
	subuidless(t, "exec", store, "p", "true")
	subuidless(t, "pause", store, "p")
	subuidless(t, "rm", "-f", store, "p")
	wantText(t, "pause what does not run", fails(t, "pause", store, subuidless(t, "create", store, "box", "true")[:12]), "is not running")
}

// TestAll changes all containers, as podman's --all does, and adds a host to those of another network.
func TestAll(t *testing.T) {
	store := backgroundStore(t, v1.Config{})
	state := func() string {
		return strings.Join(strings.Fields(subuidless(t, "ps", store, "-a", "--format", "{{.Names}}={{.State}}")), " ")
	}
	subuidless(t, "create", store, "--name=a", "--add-host=db:192.0.2.1", "box", "sleep", "1000")
	subuidless(t, "run", "-d", store, "--name=b", "box", "sleep", "1000")
	if got := subuidless(t, "inspect", store, "-f", "{{json .HostConfig.ExtraHosts}}", "a", "b"); got != "[\"db:192.0.2.1\"]\n[]\n" {
		t.Errorf("the further hosts are %s", got)
	}
	for _, tt := range []struct{ args, out, after string }{
		{"pause --all", "b\n", "b=paused a=created"},
		{"pause --all", "", "b=paused a=created"},
		{"unpause -a", "b\n", "b=running a=created"},
		{"kill --all --signal=WINCH", "b\n", "b=running a=created"},
		{"stop --all -t 0", "b\n", "b=exited a=created"},
		{"stop --all", "", "b=exited a=created"},
		{"restart --all -t 0", "b\na\n", "b=running a=running"},
	} {
		args := append(strings.Fields(tt.args), store)
		if out := subuidless(t, args...); out != tt.out {
			t.Errorf("%s: %q, want %q", tt.args, out, tt.out)
		}
		if got := state(); got != tt.after {
			t.Errorf("after %s: %s, want %s", tt.args, got, tt.after)
		}
	}
	if got := subuidless(t, "exec", store, "a", "cat", "/etc/hosts"); !strings.HasSuffix(got, "\n192.0.2.1\tdb\n") {
		t.Errorf("/etc/hosts lacks the host: %q", got)
	}
	if got := fails(t, "rm", store, "--all", "a"); !strings.Contains(got, "cannot be combined") {
		t.Errorf("rm --all a: %s", got)
	}
	if got := subuidless(t, "rm", store, "--all", "--force"); got != "b\na\n" || state() != "" {
		t.Errorf("rm --all: %q, and then %q", got, state())
	}
}

// TestAttach connects with containers in the background.
func TestAttach(t *testing.T) {
	store := backgroundStore(t, v1.Config{})
	subuidless(t, "run", "-di", store, "--name=in", "box", "sh", "-c", "trap 'exit 6' USR1; echo before; while read line; do echo got $line; echo e $line >&2; done")
	eventually(t, "the output is in the log", func() bool { return subuidless(t, "logs", store, "in") == "before\n" })
	attached := command(t, "subuidless", "attach", store, "in")
	in, out := startWithPipes(t, attached)
	for _, word := range []string{"one", "two"} {
		if _, err := in.Write([]byte(word + "\n")); err != nil {
			t.Fatal(err)
		}
		if line, err := out.ReadString('\n'); line != "got "+word+"\n" {
			t.Fatalf("%q, %v", line, err)
		}
	}
	if err := attached.Process.Signal(unix.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	if err := attached.Wait(); err == nil || attached.ProcessState.ExitCode() != 6 {
		t.Errorf("attach: %v", err)
	}
	wantText(t, "attach", fails(t, "attach", store, "in"), "is not running")
	wantText(t, "help", subuidless(t, "attach", "--help"), "--no-stdin")
}

// TestTerminalSizes changes the size of the user's terminal: that in the container gets it.
func TestTerminalSizes(t *testing.T) {
	store := backgroundStore(t, v1.Config{})
	const loop = "trap 'busybox stty size' WINCH; echo ready; while :; do sleep 0.05; done"
	subuidless(t, "run", "-dit", store, "--name=tty", "--init", "box", "sh", "-c", loop)
	eventually(t, "the output is in the log", func() bool { return strings.Contains(subuidless(t, "logs", store, "tty"), "ready") })
	for _, args := range [][]string{{"attach", store, "tty"}, {"exec", "-it", store, "tty", "sh", "-c", "busybox stty size; " + loop}} {
		term := startOnTerminal(t, append([]string{"subuidless"}, args...)...)
		term.expect("33 77")
		if args[0] == "exec" {
			term.expect("ready")
		}
		if err := term.master.Resize(console.WinSize{Height: 11, Width: 22}); err != nil {
			t.Fatal(err)
		}
		term.expect("11 22")
	}
	wantText(t, "a wrong signal", fails(t, "stop", store, "--signal=NONE", "tty"), "NONE")
	subuidless(t, "stop", store, "--signal=KILL", "--timeout=60", "tty")
	subuidless(t, "rm", store, "-v", "tty")
}
