package test

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// requirement is something that a test needs and a machine may lack.
type requirement struct {
	met func() bool
	how string // how to meet it
}

var requirements = map[string]requirement{
	"answers":        {file("answers"), "load the kernel's fuse, and run the tests as root"},
	"bindfs":         {program("bindfs"), "apt-get install bindfs"},
	"btrfs":          {file("btrfs"), "load the kernel's btrfs and loop, apt-get install btrfs-progs, and run the tests as root"},
	"buildah":        {program("buildah"), "apt-get install buildah"},
	"busybox":        {program("busybox"), "apt-get install busybox-static"},
	"bwrap":          {program("bwrap"), "apt-get install bubblewrap"},
	"cc":             {file("testdata/programs/chown"), "apt-get install gcc libc6-dev"},
	"cc32":           {file("testdata/programs/ids_i386"), "apt-get install gcc-multilib"},
	"cni":            {program("/usr/lib/cni/bridge"), "apt-get install containernetworking-plugins"},
	"containerd":     {program("containerd"), "apt-get install containerd"},
	"cpio":           {program("cpio"), "apt-get install cpio"},
	"crictl":         {program("crictl"), builtByPrepare},
	"crun":           {crun, "apt-get install crun; where cgroups are hybrid, also run the tests as root"},
	"debian":         {file("debian12.tar"), builtByPrepare},
	"debian13":       {file(enter13), builtByPrepare + ", and run the tests as root"},
	"debootstrap":    {program("debootstrap"), "apt-get install debootstrap"},
	"docker":         {program("docker"), "apt-get install docker.io"},
	"docker-compose": {program("docker-compose"), "apt-get install --no-install-recommends docker-compose"},
	"dockerd":        {program("dockerd"), builtByPrepare},
	"dpkg-deb":       {program("dpkg-deb"), "apt-get install dpkg"},
	"erofs":          {file("erofs"), "load the kernel's erofs and loop, apt-get install erofs-utils, and run the tests as root"},
	"fakeroot":       {program("fakeroot"), "apt-get install fakeroot"},
	"fuse":           {openable("/dev/fuse"), "load the kernel's fuse, and run the tests as root"},
	"fuse-overlayfs": {program("fuse-overlayfs"), "apt-get install fuse-overlayfs"},
	"gdb":            {program("gdb"), "apt-get install gdb"},
	"getfacl":        {program("getfacl"), "apt-get install acl"},
	"getfattr":       {program("getfattr"), "apt-get install attr"},
	"git":            {program("git"), "apt-get install git"},
	"mmdebstrap":     {program("mmdebstrap"), "apt-get install mmdebstrap"},
	"musl-gcc":       {program("musl-gcc"), "apt-get install musl-tools"},
	"newuidmap":      {program("newuidmap"), "apt-get install uidmap"},
	"podman":         {program("podman"), "apt-get install podman"},
	"python3":        {program("python3"), "apt-get install python3"},
	"ramfs":          {file("ramfs"), "run the tests as root"},
	"repository":     {file("repository"), builtByPrepare},
	"root":           {file("expected"), "run the tests as root"},
	"rootlesskit":    {program("rootlesskit"), "apt-get install rootlesskit"},
	"rsync":          {program("rsync"), "apt-get install rsync"},
	"runc":           {program("runc"), "apt-get install runc"},
	"servers":        {file("servers"), builtByPrepare},
	"services":       {file(servicesTar), builtByPrepare},
	"setcap":         {program("setcap"), "apt-get install libcap2-bin"},
	"skopeo":         {program("skopeo"), "apt-get install skopeo"},
	"slirp4netns":    {program("slirp4netns"), "apt-get install slirp4netns"},
	"small":          {file("small"), "run the tests as root"},
	"squashfs":       {file("squashfs"), "load the kernel's squashfs and loop, apt-get install squashfs-tools, and run the tests as root"},
	"strace":         {program("strace"), "apt-get install strace"},
	"suites":         {file(suitesTar), builtByPrepare},
	"systemd":        {program("systemd-run"), "apt-get install systemd"},
	"tun":            {openable("/dev/net/tun"), "load the kernel's tun, and run the tests as root"},
	"umoci":          {program("umoci"), "apt-get install umoci"},
	"xfs":            {file("xfs"), "load the kernel's xfs and loop, apt-get install xfsprogs, and run the tests as root"},
}

const builtByPrepare = "sudo test/prepare; set SUBUIDLESS_CACHE if another user ran it"

// needsRoot is why a test is skipped that compares with results of real root.
const needsRoot = "needs the results of real root: run the tests as root"

func program(name string) func() bool {
	return func() bool { _, err := exec.LookPath(name); return err == nil }
}

// openable reports whether the user may open a device and the kernel has its driver.
func openable(name string) func() bool {
	return func() bool {
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		return err == nil && f.Close() == nil
	}
}

func file(name string) func() bool {
	return func() bool { _, err := os.Stat(work(name)); return err == nil }
}

// crun reports whether crun can work. Version 1.8 refuses hybrid cgroups, which the
// tests hide if root runs them.
func crun() bool {
	var fs unix.Statfs_t
	hybrid := unix.Statfs(unifiedCgroup, &fs) == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC
	return !hybrid && program("crun")()
}

// unmet returns which of the named requirements is not met, and how to meet it. It panics if
// there is no such requirement: the test would never run.
func unmet(names ...string) (reason string, missing bool) {
	for _, name := range names {
		r, known := requirements[name]
		if !known {
			panic(fmt.Sprintf("a test needs %q, which is not in requirements", name))
		}
		if !r.met() {
			return fmt.Sprintf("%s is missing: %s", name, r.how), true
		}
	}
	return "", false
}

// needs skips a test unless the named requirements are met.
func needs(t *testing.T, names ...string) {
	t.Helper()
	if reason, missing := unmet(names...); missing {
		t.Skip(reason)
	}
}

// TestRequirements lists the requirements that this machine does not meet, as
// skipped tests.
func TestRequirements(t *testing.T) {
	for name, r := range requirements {
		t.Run(name, func(t *testing.T) {
			if !r.met() {
				t.Skipf("%s is missing: %s", name, r.how)
			}
		})
	}
}
