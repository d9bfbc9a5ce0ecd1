package test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// podCases are the build cases that are built in a pod, too: those whose files the kernel's own
// ids, and moves in the place of mounts, have to get right.
var podCases = []string{
	"copy_chown_names", "copy_from_devices", "copy_hard_links", "copy_xattrs", "pod", "run_devices", "run_mount_bind", "run_mount_cache",
	"run_mount_secret", "run_mount_tmpfs", "run_removes", "run_setid", "run_user",
}

// podCapabilities are those that docker gives a container by default.
var podCapabilities = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP",
	"CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
}

// podAsRoot has crun run testdata/pod/commands.sh, as real root, in a container such as an ordinary
// pod: with docker's default capabilities, moby's default seccomp profile, masked paths, the
// network of the host, and a root file system of overlayfs. It stores what they print in
// "expected/pod/commands", and what the images contain that they push in "expected/pod/CASE".
//
// Errors of the container are the test's to report.
func podAsRoot(work string) error {
	if _, missing := unmet("buildah", "busybox"); missing || !crun() || !selected("TestPod") {
		return nil // the test is skipped, or not run
	}
	expected := filepath.Join(work, "expected", "pod")
	if err := os.MkdirAll(expected, 0o755); err != nil {
		return err
	}
	p := &pod{dir: filepath.Join(work, "pod"), work: work}
	defer os.RemoveAll(p.dir)
	registry, err := serveRegistry()
	if err != nil {
		return err
	}
	defer registry.Close()
	if err := p.makeRoot(registry.Addr().String()); err != nil {
		return err
	}
	defer unix.Unmount(p.root(), unix.MNT_DETACH)
	addr := registry.Addr().String()
	out, err := p.run("sh", "/commands.sh", addr)
	text := strings.ReplaceAll(string(out), addr, "REGISTRY")
	if err != nil {
		text += fmt.Sprintln("crun:", err)
	}
	if err := os.WriteFile(filepath.Join(expected, "commands"), []byte(text), 0o644); err != nil {
		return err
	}
	for _, c := range podCases {
		d, err := describePushed(addr + "/" + c)
		if err != nil {
			d = described{"error": err.Error()}
		}
		b, err := json.MarshalIndent(d, "", "  ")
		if err == nil {
			err = os.WriteFile(filepath.Join(expected, c), b, 0o644)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// selected reports whether the user may want to run the test of this name.
func selected(test string) bool {
	for i, arg := range os.Args {
		pattern, ok := strings.CutPrefix(arg, "-test.run=")
		if !ok && arg == "-test.run" && i+1 < len(os.Args) {
			pattern, ok = os.Args[i+1], true
		}
		if ok {
			// An alternative may have subtests. A part of one in parentheses is no pattern.
			return slices.ContainsFunc(strings.Split(pattern, "|"), func(alternative string) bool {
				matches, err := regexp.MatchString(strings.Split(alternative, "/")[0], test)
				return matches || err != nil
			})
		}
	}
	return true
}

// describePushed returns what an image of a registry contains.
func describePushed(image string) (described, error) {
	ref, err := name.ParseReference(image, name.Insecure)
	if err != nil {
		return nil, err
	}
	img, err := remote.Image(ref)
	if err != nil {
		return nil, err
	}
	tree := mutate.Extract(img)
	defer tree.Close()
	d := described{}
	if err := d.addTree(tree); err != nil {
		return nil, err
	}
	raw, err := img.RawConfigFile()
	if err != nil {
		return nil, err
	}
	return d, d.addConfig(raw)
}

// pod is a container of crun.
type pod struct{ dir, work string }

func (p *pod) root() string { return filepath.Join(p.dir, "rootfs") }

// makeRoot makes the root file system, with all that the commands need. Registry is an address.
func (p *pod) makeRoot(registry string) error {
	lower := filepath.Join(p.dir, "lower")
	for _, dir := range []string{"bin", "dev", "etc", "proc", "root", "sys", "tmp", "cases", "context", "etc/containers"} {
		if err := os.MkdirAll(filepath.Join(lower, dir), 0o755); err != nil {
			return err
		}
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return err
	}
	for to, from := range map[string]string{
		"bin/busybox": busybox, "bin/subuidless": filepath.Join(p.work, "bin", "subuidless"), "base.tar": filepath.Join(p.work, buildBaseArchive),
		"commands.sh": filepath.Join(p.work, "testdata", "pod", "commands.sh"),
	} {
		if err := copyFile(filepath.Join(lower, to), from); err != nil {
			return err
		}
	}
	for _, program := range []string{"busybox", "subuidless"} {
		if err := os.Chmod(filepath.Join(lower, "bin", program), 0o755); err != nil {
			return err
		}
	}
	for _, applet := range []string{"sh", "cat", "echo", "find", "grep", "head", "id", "ls", "mkdir", "ps", "sed", "sleep", "sort", "tar", "touch", "wc"} {
		if err := os.Symlink("busybox", filepath.Join(lower, "bin", applet)); err != nil {
			return err
		}
	}
	if err := p.addCases(lower); err != nil {
		return err
	}
	if err := p.addJob(lower); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(lower, "etc", "containers", "registries.conf"), []byte(insecureRegistry(registry)), 0o644); err != nil {
		return err
	}
	for _, dir := range []string{"upper", "overlay", "rootfs"} {
		if err := os.Mkdir(filepath.Join(p.dir, dir), 0o755); err != nil {
			return err
		}
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", lower, filepath.Join(p.dir, "upper"), filepath.Join(p.dir, "overlay"))
	if err := unix.Mount("overlay", p.root(), "overlay", 0, options); err != nil {
		return fmt.Errorf("mounting the pod's root file system: %w", err)
	}
	return nil
}

// addCases writes the contexts of podCases, and a line with the name and the flags of each.
func (p *pod) addCases(lower string) error {
	all, err := readBuildCases(filepath.Join(p.work, "testdata", "build"))
	if err != nil {
		return err
	}
	var list strings.Builder
	for i := range all {
		c := &all[i]
		if !slices.Contains(podCases, c.name) {
			continue
		}
		if err := c.makeContext(filepath.Join(lower, "cases", c.name)); err != nil {
			return err
		}
		fmt.Fprintln(&list, c.name, strings.Join(c.flags, " "))
	}
	return os.WriteFile(filepath.Join(lower, "cases", "list"), []byte(list.String()), 0o644)
}

// addJob writes the script and the context of docs/ci/kubernetes.md.
func (p *pod) addJob(lower string) error {
	var parts struct {
		Data map[string]string
		Spec struct {
			Template struct {
				Spec struct{ Containers []struct{ Args []string } }
			}
		}
	}
	if err := readYAML(filepath.Join(p.work, "docs", "ci", "kubernetes.md"), &parts); err != nil {
		return err
	}
	containers := parts.Spec.Template.Spec.Containers
	if len(containers) != 1 || len(containers[0].Args) != 1 || len(parts.Data) == 0 {
		return fmt.Errorf("docs/ci/kubernetes.md: unexpected job %+v", parts)
	}
	for name, content := range parts.Data {
		if err := os.WriteFile(filepath.Join(lower, "context", name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(lower, "kubernetes.sh"), []byte(containers[0].Args[0]), 0o644)
}

// run runs a command in the pod, and returns what it prints.
func (p *pod) run(args ...string) ([]byte, error) {
	spec, err := podSpec(args)
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(p.dir, "config.json"), b, 0o644); err != nil {
		return nil, err
	}
	// PR_SET_PDEATHSIG refers to this very thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ctx, cancel := limited(context.Background())
	defer cancel()
	state := filepath.Join(p.dir, "crun")
	id := fmt.Sprintf("pod-%d", os.Getpid())
	cmd := exec.CommandContext(ctx, "crun", "--cgroup-manager=disabled", "--root", state, "run", "--bundle", p.dir, id)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	out, err := cmd.CombinedOutput()
	// Nothing is left unless crun was killed.
	if _, e := os.Stat(filepath.Join(state, id)); e == nil {
		err = errors.Join(err, exec.Command("crun", "--root", state, "delete", "--force", id).Run())
	}
	return out, err
}

// podSpec returns the configuration of the pod.
func podSpec(args []string) (*specs.Spec, error) {
	hardened := []string{"nosuid", "noexec", "nodev"}
	spec := &specs.Spec{
		Version: "1.0.2",
		Process: &specs.Process{
			Cwd: "/", Args: args, Env: []string{"PATH=/bin", "HOME=/root"},
			Capabilities: &specs.LinuxCapabilities{Bounding: podCapabilities, Effective: podCapabilities, Permitted: podCapabilities},
		},
		Root: &specs.Root{Path: "rootfs"}, Hostname: "pod",
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc", Options: hardened},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755"}},
			{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
			{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: append([]string{"mode=1777"}, hardened...)},
			{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: append([]string{"ro"}, hardened...)},
		},
		Linux: &specs.Linux{
			Namespaces:    []specs.LinuxNamespace{{Type: specs.PIDNamespace}, {Type: specs.IPCNamespace}, {Type: specs.UTSNamespace}, {Type: specs.MountNamespace}},
			MaskedPaths:   []string{"/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"},
			ReadonlyPaths: []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"},
		},
	}
	var err error
	spec.Linux.Seccomp, err = seccomp.GetDefaultProfile(spec)
	return spec, err
}
