package session

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rootless-containers/subuidless/internal/userns"
)

func TestMonitor(t *testing.T) {
	for _, tt := range []struct {
		args string
		want monitor
		ok   bool
	}{
		{"/usr/bin/conmon --api-version 1 -c abc -u abc -r /usr/bin/crun -n box --exit-dir /run/exits --exit-command-arg -c", monitor{id: "abc", name: "box", exitDir: "/run/exits"}, true},
		{"/usr/bin/conmon --api-version 1 -c abc -u def -n box --exec-attach", monitor{}, false}, // of exec
		{"/usr/bin/conmon", monitor{}, false},
		{"/usr/bin/conmon -c", monitor{}, false},
		{"podman -c abc -u abc", monitor{}, false},
		{"", monitor{}, false},
	} {
		p := process{args: strings.Fields(tt.args)}
		if got, ok := p.monitor(); ok != tt.ok || ok && got != tt.want {
			t.Errorf("%q: %+v, %v", tt.args, got, ok)
		}
	}
}

// This process and its children are in its user namespace, and others of the machine are not in
// one that does not exist.
func TestFindMembers(t *testing.T) {
	f, err := os.Open("/proc/self/ns/user")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	inode, err := userns.Inode(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	m, err := findMembers(inode)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, p := range m.processes {
		found = found || p.pid == os.Getpid() && p.args[0] == os.Args[0]
	}
	if !found {
		t.Errorf("process %d is not among %d", os.Getpid(), len(m.processes))
	}
	if m, err = findMembers(1); err != nil || len(m.processes) > 0 || m.worker {
		t.Errorf("%d processes are in a namespace that does not exist (%v)", len(m.processes), err)
	}
}

// Without processes in containers, their monitors get more time.
func TestStopping(t *testing.T) {
	cmd := exec.Command("sleep", "1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWPID}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
	}()
	outside := process{pid: os.Getpid()}
	for _, tt := range []struct {
		processes []process
		want      time.Duration
	}{{nil, monitorPatience}, {[]process{outside}, monitorPatience}, {[]process{outside, {pid: cmd.Process.Pid}}, stoppedPatience}} {
		if got := (&members{processes: tt.processes}).stopping(); got != tt.want {
			t.Errorf("%v: %v, want %v", tt.processes, got, tt.want)
		}
	}
}

func TestCheckName(t *testing.T) {
	for name, valid := range map[string]bool{
		"default": true, "a.b-c_1": true, "9": true, strings.Repeat("x", 40): true,
		"": false, ".": false, "..": false, "-x": false, "a/b": false, "a b": false, "ä": false, strings.Repeat("x", 41): false,
	} {
		if err := checkName(name); (err == nil) != valid {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestState(t *testing.T) {
	for _, tt := range []struct {
		info Info
		want string
	}{
		{Info{}, "dead (the supervisor was killed)"},
		{Info{Keeper: 1, Linger: time.Minute}, "active"},
		{Info{Keeper: 1, Linger: time.Minute, Idle: 10 * time.Second}, "idle, ends in 50s"},
		{Info{Keeper: 1, Linger: time.Minute, Idle: 2 * time.Minute}, "idle, ends in 0s"},
	} {
		if got := tt.info.state(); got != tt.want {
			t.Errorf("%+v: %q", tt.info, got)
		}
	}
}
