package test

import (
	"net"
	"strconv"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// TestRunCapabilities drops capabilities, which neither root nor programs with set-id bits have then.
func TestRunCapabilities(t *testing.T) {
	store := backgroundStore(t, v1.Config{})
	rootfs := t.TempDir()
	if err := makeRootfs(rootfs); err != nil {
		t.Fatal(err)
	}
	const script = `busybox grep -h ^Cap /proc/self/status; touch /tmp/x
chown 5:6 /tmp/x 2>/dev/null; stat -c %u:%g /tmp/x; busybox hostname own 2>/dev/null && echo named; busybox mknod /tmp/n c 1 3 2>/dev/null && echo made; rm /tmp/x /tmp/n 2>/dev/null; true`
	const all, none = "000001ffffffffff", "0000000000000000"
	caps := func(inheritable, permitted, bounding string) string {
		return "CapInh:\t" + inheritable + "\nCapPrm:\t" + permitted + "\nCapEff:\t" + permitted + "\nCapBnd:\t" + bounding + "\nCapAmb:\t" + none + "\n"
	}
	for _, tt := range []struct{ flags, want string }{
		{"--cap-add=SYS_ADMIN", caps(none, all, all) + "5:6\nnamed\nmade\n"},
		{"--cap-drop=chown --cap-drop=CAP_SYS_ADMIN", caps(none, "000001ffffdffffe", "000001ffffdffffe") + "0:0\nmade\n"},
		{"--cap-drop=all --cap-add=chown", caps(none, "0000000000000001", "0000000000000001") + "5:6\n"},
		{"--cap-drop=CHOWN --accelerate=on", caps(none, "000001fffffffffe", "000001fffffffffe") + "0:0\nnamed\nmade\n"},
		{"--cap-drop=ALL --user=33:33", caps(none, none, none) + "33:33\n"},
	} {
		for _, target := range [][]string{{store, "box"}, {rootfs, "--"}} {
			run := append(append([]string{"run"}, strings.Fields(tt.flags)...), target...)
			if out := subuidless(t, append(run, "/bin/busybox", "sh", "-c", script)...); out != tt.want {
				t.Errorf("%s %s:\n%swant\n%s", tt.flags, target, out, tt.want)
			}
		}
	}
	// To the kernel, files that only a group may use belong to the user that uses them.
	const ofGroup = "echo y >/d/h && cat /d/h && cat /f && /p"
	subuidless(t, "run", "--name=g", store, "box", "sh", "-c", "mkdir /d; echo x >/f; printf '#!/bin/sh\necho ran\n' >/p; chown 0:33 /d /f /p; busybox chmod 70 /d /p; busybox chmod 40 /f")
	subuidless(t, "commit", "-q", store, "g", "localhost/of-group")
	if out := subuidless(t, "run", "--rm", "-q", "--cap-drop=all", "--user=33:33", store, "localhost/of-group", "sh", "-c", ofGroup); out != "y\nx\nran\n" {
		t.Errorf("files of a group: %q", out)
	}
	wantText(t, "files of a group", fails(t, "run", "--rm", "--cap-drop=all", store, "localhost/of-group", "sh", "-c", ofGroup), "Permission denied")
	subuidless(t, "run", "-d", "--name=c", "--cap-drop=ALL", "--cap-add=kill", "--device", "/dev/null:/dev/own", "--dns=9.9.9.9", "--dns-search=example.org", "--dns-option=ndots:2",
		"--tmpfs=/t:size=1m,exec", store, "box", "sleep", "1000")
	if out := subuidless(t, "exec", store, "c", "sh", "-c", "echo x >/dev/own; test -c /dev/own && "+script); out != caps(none, "0000000000000020", "0000000000000020")+"0:0\n" {
		t.Errorf("exec:\n%s", out)
	}
	const format = "{{json .HostConfig.CapAdd}} {{json .HostConfig.CapDrop}} {{json .HostConfig.Devices}} {{json .HostConfig.Dns}} {{json .HostConfig.DnsSearch}} {{json .HostConfig.DnsOptions}} {{json .HostConfig.Tmpfs}} {{json .HostConfig.PortBindings}}"
	const want = `["CAP_KILL"] ["ALL"] [{"PathOnHost":"/dev/null","PathInContainer":"/dev/own","CgroupPermissions":"rwm"}] ["9.9.9.9"] ["example.org"] ["ndots:2"] {"/t":"size=1048576,exec"} {}` + "\n"
	if out := subuidless(t, "inspect", store, "-f", format, "c"); out != want {
		t.Errorf("inspect: %swant %s", out, want)
	}
	subuidless(t, "rm", "-f", store, "c")
	for flags, want := range map[string]string{
		"--cap-drop=KILL --permissions=off": "cannot be dropped with --permissions=off", "--cap-drop=KILL --cap-add=cap_kill": "cannot be added and dropped",
		"--device=/etc/passwd": "--volume is for files",
	} {
		wantText(t, flags, fails(t, append(append([]string{"run"}, strings.Fields(flags)...), store, "box", "true")...), want)
	}
}

// TestRunPublish publishes ports, which are those of the host.
func TestRunPublish(t *testing.T) {
	store := backgroundStore(t, v1.Config{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	used := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	subuidless(t, "create", "--name=p", "-p", used+":"+used, "--publish=7:7/udp", store, "box", "true")
	if out := subuidless(t, "inspect", store, "-f", "{{json .NetworkSettings.Ports}}", "p"); !strings.Contains(out, `"7/udp":[{"HostIp":"","HostPort":"7"}]`) || !strings.Contains(out, `"`+used+`/tcp":[{"HostIp":"","HostPort":"`+used+`"}]`) {
		t.Errorf("inspect: %s", out)
	}
	if out := subuidless(t, "ps", "-a", store, "--format={{.Ports}}"); out != used+"/tcp, 7/udp\n" {
		t.Errorf("ps: %s", out)
	}
	wantText(t, "a port in use", fails(t, "run", "--rm", "-p", used+":"+used, store, "box", "true"), "port "+used+"/tcp of the host: another program uses it already")
	wantText(t, "no network", fails(t, "run", "--rm", "--network=none", "-p", "9999:9999", store, "box", "true"), "without a network")
	wantText(t, "another port", fails(t, "run", "--rm", "-p", "8080:80", store, "box", "true"), "both ports must be the same")
}
