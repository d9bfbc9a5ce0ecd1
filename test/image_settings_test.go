package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// TestRunKernel sets what the kernel keeps for a container, in an image and in a root file system. Podman,
// as real root, has the same results.
func TestRunKernel(t *testing.T) {
	store := backgroundStore(t, v1.Config{})
	script := `umask; busybox touch /tmp/x; busybox stat -c %a /tmp/x; busybox df -k /dev/shm | busybox awk 'NR == 2 {print $2}'
busybox cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax /proc/sys/fs/mqueue/msg_max`
	want := "0027\n640\n1024\n1\n"
	flags := []string{"--umask=27", "--shm-size=1m", "--network=none", "--sysctl", "net.ipv4.ip_forward=1"}
	if exec.Command("unshare", "-r", "--ipc", "sh", "-c", "echo 4096 >/proc/sys/kernel/msgmax").Run() == nil {
		flags = append(flags, "--sysctl=kernel.msgmax=4096", "--sysctl=fs.mqueue.msg_max=7")
		want += "4096\n7\n"
	} else {
		wantText(t, "an older kernel", fails(t, "run", "--rm", store, "--sysctl=kernel.msgmax=4096", "box", "true"), "this kernel lets only root of the host set it")
		script = script[:strings.Index(script, " /proc/sys/kernel")]
	}
	rootfs := t.TempDir()
	if err := makeRootfs(rootfs); err != nil {
		t.Fatal(err)
	}
	for _, target := range [][]string{{"--rm", store, "box"}, {rootfs, "--"}} {
		run := append(append([]string{"run"}, flags...), target...)
		if out := subuidless(t, append(run, "/bin/busybox", "sh", "-c", script)...); out != want {
			t.Errorf("%s: %q, want %q", target, out, want)
		}
	}
	subuidless(t, append(append([]string{"run", "-d", "--name=k"}, flags...), store, "box", "sleep", "1000")...)
	if out := subuidless(t, "exec", store, "k", "sh", "-c", "umask"); out != "0027\n" {
		t.Errorf("exec: %q", out)
	}
	const format = "{{.Config.Umask}} {{.HostConfig.ShmSize}} {{index .HostConfig.Sysctls \"net.ipv4.ip_forward\"}}"
	if out := subuidless(t, "inspect", store, "-f", format, "k"); out != "0027 1048576 1\n" {
		t.Errorf("inspect: %q", out)
	}
	for _, tt := range []struct{ flag, want string }{
		{"--umask=8", "must be octal, from 0 to 777"},
		{"--shm-size=1x", "is not a size"},
		{"--sysctl=kernel.msgmax", "must be NAME=VALUE"},
		{"--sysctl=net/ipv4/ip_forward=1", "words separated by dots"},
		{"--sysctl=kernel..msgmax=1", "words separated by dots"},
		{"--sysctl=kernel.hostname=x", "is the same for the whole machine"},
		{"--sysctl=net.ipv4.ip_forward=1", "only with --network=none"},
		{"--network=none --sysctl=net.ipv4.ip_forward=many", "sysctl net.ipv4.ip_forward=many: invalid argument"},
		{"--sysctl=fs.mqueue.nothing=1", "sysctl fs.mqueue.nothing: this kernel does not have it"},
	} {
		args := append([]string{"run", "--rm", store}, strings.Fields(tt.flag)...)
		wantText(t, tt.flag, fails(t, append(args, "box", "true")...), tt.want)
	}
	if out := subuidless(t, "ps", "-aq", store); len(strings.Fields(out)) != 1 {
		t.Errorf("containers are left: %q", out)
	}
}

// TestRunTimeout ends containers when their time is over, with the exit status that podman has.
func TestRunTimeout(t *testing.T) {
	store := backgroundStore(t, v1.Config{})
	rootfs := t.TempDir()
	if err := makeRootfs(rootfs); err != nil {
		t.Fatal(err)
	}
	subuidless(t, "run", "-d", store, "--name=b", "--timeout=1", "box", "sh", "-c", "trap '' TERM; sleep 1000 & sleep 1000")
	_, stderr, status := outputs(t, "run", "--timeout", "1", rootfs, "--", "busybox", "sleep", "1000")
	if want := "subuidless: killed after 1s, as --timeout says\n"; status != 255 || stderr != want {
		t.Errorf("run: %d, %q; want 255, %q", status, stderr, want)
	}
	if out := subuidless(t, "wait", store, "b"); out != "255\n" {
		t.Errorf("wait: %q", out)
	}
	if got := inspectField(t, store, "b", ".State.Error"); got != "killed after 1s, as --timeout says" {
		t.Errorf("the reason is %q", got)
	}
	if out := subuidless(t, "run", "--rm", store, "--timeout=1000", "box", "echo", "in time"); out != "in time\n" {
		t.Errorf("in time: %q", out)
	}
	wantText(t, "a wrong time", fails(t, "run", store, "--timeout=-1", "box", "true"), "must be a number of seconds")
}

// TestReplace replaces containers by name, and labels and annotates them.
func TestReplace(t *testing.T) {
	store := backgroundStore(t, v1.Config{Labels: map[string]string{"a": "image", "b": "image"}})
	file := filepath.Join(t.TempDir(), "labels")
	if err := os.WriteFile(file, []byte("# comment\nb=file\nc=file\nd\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	first := strings.TrimSpace(subuidless(t, "run", "-d", store, "--name=r", "box", "sleep", "1000"))
	second := strings.TrimSpace(subuidless(t, "create", store, "--replace", "--name=r", "--label-file", file, "--label=c=flag", "--annotation", "x.y=z=1", "box", "true"))
	if out := subuidless(t, "ps", "-a", store, "--no-trunc", "--format", `{{.ID}} {{.Names}} {{.Labels}} {{.Label "c"}} {{.ImageID}}`); out != second+" r a=image,b=file,c=flag,d= flag "+strings.TrimPrefix(inspectField(t, store, "r", ".Image"), "sha256:")+"\n" {
		t.Errorf("ps: %q; the first one was %s, the second one is %s", out, first, second)
	}
	if got := inspectField(t, store, "r", "json .HostConfig.Annotations") + inspectField(t, store, "r", "json .Config.Annotations"); got != strings.Repeat(`{"x.y":"z=1"}`, 2) {
		t.Errorf("annotations: %s", got)
	}
	// Nothing is removed if the new one cannot be created.
	wantText(t, "no image", fails(t, "create", store, "--replace", "--name=r", "--pull=never", "localhost/nothing", "true"), "not found")
	wantText(t, "without a name", fails(t, "create", store, "--replace", "box", "true"), "--replace needs --name")
	if out := subuidless(t, "create", store, "--replace", "--name="+second[:3], "box", "true"); subuidless(t, "ps", "-aq", store, "--no-trunc") != out+second+"\n" {
		t.Error("a name is the beginning of the id of another container")
	}
	wantText(t, "a wrong label", fails(t, "create", store, "--label-file="+file+"none", "box", "true"), "--label-file: ")
}

// TestSizes shows how large containers are, made in both ways, and sorts lists.
func TestSizes(t *testing.T) {
	store := backgroundStore(t, v1.Config{}, []entry{regular("old", strings.Repeat("x", 1500)), regular("gone", strings.Repeat("x", 700))})
	image := int64(1500 + 700)
	for _, e := range busyboxLayer(t) {
		image += int64(len(e.content))
	}
	for i, driver := range []string{"copy", "overlay"} {
		name := fmt.Sprintf("c%d", i)
		// 12 bytes in /old instead of 1500, 20018 in two links, and /gone is no change that has a size.
		subuidless(t, "run", store, "--name="+name, "--storage-driver="+driver, "-v", "/v", "box", "sh", "-c",
			"echo 12345678901 >/old; busybox dd if=/dev/zero of=/new bs=20018 count=1 2>/dev/null; ln /new /link; rm /gone; touch /dev/shm/x; mkdir /dir")
		var rw, all int64
		if out := subuidless(t, "inspect", "-s", store, "-f", "{{.SizeRw}} {{.SizeRootFs}}", name); !scans(out, &rw, &all) || rw != 20030 || all != image+rw {
			t.Errorf("%s: %q, want 20030, and %d more", driver, out, image)
		}
	}
	subuidless(t, "create", store, "--name=a", "box", "true")
	out := subuidless(t, "ps", "-as", store)
	if lines := strings.Split(out, "\n"); !strings.HasSuffix(lines[0], "   NAMES   SIZE") || !strings.Contains(lines[1], "   a       0B (virtual ") || !strings.Contains(lines[2], "   c1      20kB (virtual ") {
		t.Errorf("ps -s: %s", out)
	}
	if out := subuidless(t, "ps", "-a", store, "--format", "{{.Size}}"); strings.Count(out, "20kB (virtual ") != 2 {
		t.Errorf("the field Size: %s", out)
	}
	for order, want := range map[string]string{"": "a c1 c0", "created": "c0 c1 a", "names": "a c0 c1", "size": "a c1 c0", "status": "a c1 c0", "command": "c1 c0 a"} {
		if got := strings.Join(strings.Fields(subuidless(t, "ps", "-a", store, "--sort="+order, "--format={{.Names}}")), " "); got != want {
			t.Errorf("ps --sort=%s: %s, want %s", order, got, want)
		}
	}
	wantText(t, "an unknown order", fails(t, "ps", store, "--sort=x"), "--sort x: must be one of command, created, ")
	if out := subuidless(t, "inspect", store, "a"); strings.Contains(out, "SizeRw") {
		t.Errorf("inspect without --size: %s", out)
	}
	// A container whose files cannot be read is listed, like the others.
	if err := os.RemoveAll(filepath.Join(strings.TrimPrefix(store, "--root="), "containers", inspectField(t, store, "c0", ".Id"), "rootfs")); err != nil {
		t.Fatal(err)
	}
	out, errs, status := outputs(t, "ps", "-as", store)
	if status != 0 || !strings.Contains(errs, "the size of container c0 is unknown") || strings.Count(out, "20kB (virtual ") != 1 || !strings.Contains(out, "   c0 ") {
		t.Errorf("ps -s without files: %d, %q, %s", status, errs, out)
	}
}

// scans reports whether text has two numbers.
func scans(text string, a, b *int64) bool {
	_, err := fmt.Sscan(text, a, b)
	return err == nil
}

// TestImagesSorted lists images in different orders: as docker, the newest first.
func TestImagesSorted(t *testing.T) {
	reg := startRegistry(t)
	store := imageStore(t)
	for i, name := range []string{"b", "c", "a"} {
		img := imageOf(t, v1.Config{}, []entry{regular("file", strings.Repeat(name, 10+i))})
		img, err := mutate.CreatedAt(img, v1.Time{Time: time.Unix(int64(1000+i), 0)})
		if err != nil {
			t.Fatal(err)
		}
		subuidless(t, "pull", "-q", store, reg.push(t, name, img))
	}
	for order, want := range map[string][]string{"": {"a", "c", "b"}, "created": {"a", "c", "b"}, "repository": {"a", "b", "c"}} {
		var got []string
		for line := range strings.Lines(subuidless(t, "images", store, "--sort="+order, "--format={{.Repository}}")) {
			got = append(got, filepath.Base(strings.TrimSpace(line)))
		}
		if !slices.Equal(got, want) {
			t.Errorf("--sort=%s: %q, want %q", order, got, want)
		}
	}
	for line := range strings.Lines(subuidless(t, "images", store, "--format=json")) { // as docker: an object a line
		if !strings.HasPrefix(line, `{"ID":"`) || !strings.HasSuffix(line, "\"}\n") {
			t.Errorf("json: %s", line)
		}
	}
}

// TestInfo shows what the store has, by docker's names.
func TestInfo(t *testing.T) {
	store := backgroundStore(t, v1.Config{})
	subuidless(t, "run", "-d", store, "--name=up", "box", "sleep", "1000")
	subuidless(t, "run", "-d", store, "--name=paused", "box", "sleep", "1000")
	subuidless(t, "pause", store, "paused")
	subuidless(t, "create", store, "box", "true")
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		t.Fatal(err)
	}
	const format = "{{.Containers}} {{.ContainersRunning}} {{.ContainersPaused}} {{.ContainersStopped}} {{.Images}} {{.OSType}} {{.DockerRootDir}} {{.KernelVersion}}"
	want := "3 1 1 1 1 linux " + strings.TrimPrefix(store, "--root=") + " " + string(kernel)
	if out := subuidless(t, "info", store, "-f", format); out != want {
		t.Errorf("info: %q, want %q", out, want)
	}
	driver := strings.TrimSpace(subuidless(t, "info", store, "-f", "{{.Driver}}"))
	if got := inspectField(t, store, "up", ".Driver"); got != driver {
		t.Errorf("the driver is %s, and a container has %s", driver, got)
	}
	out := subuidless(t, "info", store)
	wantText(t, "info", out, "\n Running:", "\nKernel Version:", "\nStorage Driver:   "+driver+"\n", "\nDocker Root Dir:  "+strings.TrimPrefix(store, "--root=")+"\n")
	if out, want := subuidless(t, "version"), subuidless(t, "--version"); out != want {
		t.Errorf("version: %q, and --version: %q", out, want)
	}
	if out, want := subuidless(t, "version", "--format={{.Client.Version}} {{.Server.Version}}"), subuidless(t, "info", store, "-f", "{{.ServerVersion}} {{.ServerVersion}}"); out != want {
		t.Errorf("version: %q, and info: %q", out, want)
	}
	if out := subuidless(t, "info", store, "--format=json"); !strings.Contains(out, `"ContainersStopped":1,"Images":1,`) {
		t.Errorf("json: %s", out)
	}
}
